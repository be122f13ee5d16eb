// The part of Servers that joins the job and leaves it.
#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "param_server/client/servers.h"
#include "param_server/socket_transport.h"

namespace weir {
namespace {

constexpr int64_t kGoodbyeNanos = kNanosPerSecond;
constexpr int64_t kCheckNanos = 100 * kNanosPerMilli;

std::shared_ptr<Transport> TransportOf(const RemoteStoreOptions& options) {
  if (options.transport) return options.transport;
  return std::make_shared<SocketTransport>(options.token, options.max_frame_bytes, options.tls);
}

}  // namespace

Servers::Servers(RemoteStoreOptions options)
    : options_(std::move(options)), transport_(TransportOf(options_)), peers_(options_.servers.size()) {
  if (options_.colocated) peers_[options_.colocated_index].local = true;
}

Hello Servers::MakeHello(int server, uint64_t session) const {
  return {.worker = static_cast<uint32_t>(options_.worker),
          .num_workers = static_cast<uint32_t>(options_.num_workers),
          .server = static_cast<uint32_t>(server),
          .num_servers = static_cast<uint32_t>(options_.servers.size()),
          .virtual_shards = static_cast<uint32_t>(options_.virtual_shards),
          .num_tables = static_cast<uint32_t>(options_.tables.size()),
          .table_digest = TableDigest(options_.tables),
          .session = session,
          .host = HostName()};
}

Status Servers::Connect() {
  for (int server = 0; server < count(); ++server) {
    if (!is_local(server)) continue;
    const Status status = AttachLocally(server);
    if (!status.ok()) return status.Wrap(fmt::format("worker {} joining {}", options_.worker, Name(server)));
  }
  WEIR_RETURN_IF_ERROR(OpenLinks());
  return WaitUntilJoined();
}

Status Servers::AttachLocally(int server) {
  WEIR_ASSIGN_OR_RETURN(
      const int64_t applied,
      options_.colocated->Attach(MakeHello(server, 0), [self = weak_from_this()](const Status& reason) {
        const auto held = self.lock();
        if (held) held->Fail(reason.Wrap(held->Name(held->options_.colocated_index)));
      }));
  std::lock_guard lock(mutex_);
  peers_[server].welcomed = true;
  peers_[server].applied = applied;
  attached_ = true;
  return Status();
}

Status Servers::OpenLinks() {
  WEIR_ASSIGN_OR_RETURN(const JobToken random, MakeToken());
  uint64_t session;
  static_assert(sizeof(session) <= sizeof(random));
  std::memcpy(&session, random.data(), sizeof(session));
  for (int server = 0; server < count(); ++server) {
    if (is_local(server)) continue;
    ServerLinkOptions link;
    link.address = options_.servers[server];
    link.hello = MakeHello(server, session);
    link.silence_ns = options_.silence_ns;
    link.name = fmt::format("worker {}: {}", options_.worker, Name(server));
    ServerLinkEvents events;
    events.on_frame = [this, server](const FrameHeader& header, Buffer payload) {
      return OnFrame(server, header, std::move(payload));
    };
    events.on_welcome = [this, server](const Welcome& welcome) { OnWelcome(server, welcome); };
    events.on_over = [this, server](const Status& reason) { OnOver(server, reason); };
    peers_[server].link = std::make_unique<ServerLink>(transport_.get(), std::move(link), std::move(events));
    peers_[server].closed = false;
  }
  started_ = true;
  transport_->Post([this] {
    tick_ns_ = heartbeat_ns_ = Now();
    for (Peer& peer : peers_) {
      if (!peer.local) peer.link->Open();
    }
    ScheduleTick();
  });
  return Status();
}

// The links have deadlines of their own.
Status Servers::WaitUntilJoined() {
  std::unique_lock lock(mutex_);
  for (int server = 0; server < count(); ++server) {
    const Peer& peer = peers_[server];
    while (!peer.welcomed && peer.refused.ok() && status_.ok()) transport_->Wait(lock, changed_, kCheckNanos);
    if (!peer.refused.ok()) {
      return peer.refused.Wrap(fmt::format("worker {} joining {}", options_.worker, Name(server)));
    }
    if (!status_.ok()) return status_;
  }
  applied_at_start_ = peers_[0].applied;
  for (const Peer& peer : peers_) applied_at_start_ = std::min(applied_at_start_, peer.applied);
  return Status();
}

void Servers::WaitUntilClosed(int64_t timeout_ns) {
  const int64_t end_ns = Now() + timeout_ns;
  std::unique_lock lock(mutex_);
  while (Now() < end_ns && !std::ranges::all_of(peers_, [](const Peer& peer) { return peer.closed; })) {
    transport_->Wait(lock, changed_, end_ns - Now());
  }
}

void Servers::Stop() {
  bool attached;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    attached = status_.ok() && std::exchange(attached_, false);
  }
  if (attached) options_.colocated->Detach(options_.worker, Status());
  if (!started_) return;
  LeaveAll();
  WaitUntilClosed(kGoodbyeNanos);
  transport_->Run([this] {
    for (Peer& peer : peers_) {
      if (!peer.local) peer.link->Close(Aborted("the store was closed"));
    }
  });
  transport_->Stop();
}

}  // namespace weir
