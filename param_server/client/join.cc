// The part of Servers that joins the job and leaves it.
#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <asio/post.hpp>

#include "base/clock.h"
#include "param_server/client/dial.h"
#include "param_server/client/servers.h"

namespace weir {
namespace {

// A full house of strangers may push a worker out of the server's waiting room: it tries again.
constexpr int kHandshakesMax = 5;
constexpr int64_t kRetryNanos = 100 * kNanosPerMilli;
constexpr int64_t kGoodbyeNanos = kNanosPerSecond;

int64_t Now() { return SystemClock().SteadyNanos(); }

}  // namespace

Servers::Servers(RemoteStoreOptions options)
    : options_(std::move(options)), tick_timer_(io_), links_(options_.servers.size()) {
  if (options_.colocated) links_[options_.colocated_index].local = true;
}

Hello Servers::MakeHello(int server) const {
  return {.worker = static_cast<uint32_t>(options_.worker),
          .num_workers = static_cast<uint32_t>(options_.num_workers),
          .server = static_cast<uint32_t>(server),
          .num_servers = static_cast<uint32_t>(options_.servers.size()),
          .virtual_shards = static_cast<uint32_t>(options_.virtual_shards),
          .num_tables = static_cast<uint32_t>(options_.tables.size()),
          .table_digest = TableDigest(options_.tables),
          .host = HostName()};
}

Status Servers::Connect() {
  tick_ns_ = heartbeat_ns_ = Now();
  ScheduleTick();
  thread_ = std::thread([this] { io_.run(); });
  for (int server = 0; server < count(); ++server) {
    const Status status = ConnectTo(server);
    if (!status.ok()) return status.Wrap(fmt::format("worker {} joining {}", options_.worker, Name(server)));
  }
  std::lock_guard lock(mutex_);
  applied_at_start_ = links_[0].applied;
  for (const Link& link : links_) applied_at_start_ = std::min(applied_at_start_, link.applied);
  return status_;
}

Status Servers::ConnectTo(int server) {
  Link& link = links_[server];
  if (link.local) {
    WEIR_ASSIGN_OR_RETURN(
        const int64_t applied,
        options_.colocated->Attach(MakeHello(server), [self = weak_from_this()](const Status& reason) {
          const auto held = self.lock();
          if (held) held->Fail(reason.Wrap(held->Name(held->options_.colocated_index)));
        }));
    std::lock_guard lock(mutex_);
    link.welcomed = true;
    link.applied = applied;
    attached_ = true;
    return Status();
  }
  const int64_t deadline_ns = Now() + options_.silence_ns;
  Status status;
  for (int attempt = 0; attempt < kHandshakesMax && Now() < deadline_ns; ++attempt) {
    if (attempt > 0) SystemClock().SleepNanos(kRetryNanos);
    // A server tells its address only once it listens: where nobody does, it is gone.
    WEIR_ASSIGN_OR_RETURN(Connection::Socket socket, Dial(&io_, options_.servers[server], deadline_ns - Now()));
    status = Handshake(server, std::move(socket), deadline_ns);
    if (status.code() != StatusCode::kUnavailable) return status;
  }
  return status;
}

Status Servers::Handshake(int server, Connection::Socket socket, int64_t deadline_ns) {
  Link& link = links_[server];
  auto connection = std::make_shared<Connection>(std::move(socket), options_.token, options_.max_frame_bytes);
  {
    std::lock_guard lock(mutex_);
    link.refused = Status();
    link.closed = false;
  }
  asio::post(io_, [this, server, connection] {
    links_[server].connection = connection;
    connection->Start([this, server](const FrameHeader& header,
                                     Buffer payload) { return OnFrame(server, header, std::move(payload)); },
                      [this, server](const Status& reason) { OnClose(server, reason); });
    connection->Send(MessageType::kHello, 0, 0, EncodeHello(MakeHello(server)));
  });
  std::unique_lock lock(mutex_);
  const auto limit = std::chrono::nanoseconds(std::max<int64_t>(deadline_ns - Now(), 0));
  if (!changed_.wait_for(lock, limit, [&] { return link.welcomed || !link.refused.ok(); })) {
    return Unavailable(fmt::format("no answer to the handshake within {:g} s (cluster.silence_s)",
                                   static_cast<double>(options_.silence_ns) / kNanosPerSecond));
  }
  return link.welcomed ? Status() : link.refused;
}

bool Servers::WaitUntilClosed(int64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                           [&] { return std::ranges::all_of(links_, [](const Link& link) { return link.closed; }); });
}

void Servers::Stop() {
  if (!thread_.joinable()) return;
  bool attached;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    attached = status_.ok() && std::exchange(attached_, false);
  }
  if (attached) options_.colocated->Detach(options_.worker, Status());
  LeaveAll();
  WaitUntilClosed(kGoodbyeNanos);
  asio::post(io_, [this] {
    for (Link& link : links_) {
      if (link.connection) link.connection->Close(Aborted("the store was closed"));
    }
    tick_timer_.cancel();
    io_.stop();
  });
  thread_.join();
}

}  // namespace weir
