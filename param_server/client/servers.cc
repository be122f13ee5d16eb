#include "param_server/client/servers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include "base/clock.h"

namespace weir {
namespace {

// A server's own deadline is to come first: it knows which worker is late.
constexpr int64_t kAnswerGraceNanos = 2 * kNanosPerSecond;
constexpr int64_t kCheckNanos = 100 * kNanosPerMilli;

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

}  // namespace

Status Call::OnRows(int, std::span<const uint8_t>) {
  return InvalidArgument(fmt::format("Rows answer a {}", MessageTypeName(type)));
}

Status Call::OnEarlyRows(int, std::span<const uint8_t>) {
  return InvalidArgument(fmt::format("EarlyRows answer a {}", MessageTypeName(type)));
}

std::string Servers::Name(int server) const {
  return peers_[server].local ? fmt::format("server {} (this process)", server)
                              : fmt::format("server {} ({})", server, options_.servers[server].HostPort());
}

// With mutex_ held, on the transport's thread.
void Servers::Leave(Peer* peer) {
  peer->leaving = true;
  // Not at once: the link may be over with it, which takes the lock.
  transport_->Post([link = peer->link.get()] { link->Leave(MessageType::kGoodbye, {}); });
}

// With mutex_ held. A pull that was made ahead and given up (the run stopped early) is answered, but never awaited.
bool Servers::Owes(int server) const {
  for (const auto& [id, call] : calls_) {
    if (!call->answered_[server]) return true;
  }
  return false;
}

void Servers::LeaveAll() {
  transport_->Post([this] {
    std::lock_guard lock(mutex_);
    for (Peer& peer : peers_) {
      if (!peer.local) Leave(&peer);
    }
  });
}

void Servers::NoteStep(int64_t step) {
  if (step > step_seen_) step_seen_ = step;
}

Status Servers::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

Status Servers::OnFrame(int server, const FrameHeader& header, Buffer payload) {
  bytes_received_ += static_cast<int64_t>(kFrameHeaderBytes + payload.size());
  Peer& peer = peers_[server];
  switch (header.type) {
    case MessageType::kHeartbeat: {
      WEIR_ASSIGN_OR_RETURN(const HeartbeatMessage heartbeat, DecodeHeartbeat(payload.span()));
      std::lock_guard lock(mutex_);
      if (std::exchange(peer.progress, heartbeat.progress) != heartbeat.progress) progress_ns_ = Now();
      return Status();
    }
    case MessageType::kGoodbye: {
      std::lock_guard lock(mutex_);
      peer.leaving = true;
      if (!Owes(server)) Leave(&peer);
      return Status();
    }
    case MessageType::kEarlyRows:
    case MessageType::kRows:
      return OnRows(server, header, payload);
    default:
      return OnAnswer(server, header, payload);
  }
}

Status Servers::OnAnswer(int server, const FrameHeader& header, const Buffer& payload) {
  OwnerReply reply;
  Status error;
  switch (header.type) {
    case MessageType::kDone:
      break;
    case MessageType::kFiles: {
      WEIR_ASSIGN_OR_RETURN(FilesMessage message, DecodeFiles(payload.span()));
      reply.files = std::move(message.files);
      break;
    }
    case MessageType::kStatsReply: {
      WEIR_ASSIGN_OR_RETURN(reply.stats, DecodeStats(payload.span()));
      break;
    }
    case MessageType::kError:
      WEIR_RETURN_IF_ERROR(DecodeError(payload.span(), &error));
      break;
    default:
      return InvalidArgument(fmt::format("a server sent a {} frame", MessageTypeName(header.type)));
  }
  std::unique_lock lock(mutex_);
  const auto found = calls_.find(header.request_id);
  if (found == calls_.end()) {
    lock.unlock();
    // Either the job's end or the refusal of a push, which has no call; an answer to a call that was given up is
    // nothing.
    if (header.request_id == 0 && !error.ok()) Fail(error.Wrap(Name(server)));
    return Status();
  }
  Finish(found->second.get(), server, error.Wrap(Name(server)), std::move(reply));
  return Status();
}

Status Servers::OnRows(int server, const FrameHeader& header, const Buffer& payload) {
  std::shared_ptr<Call> call;
  {
    std::lock_guard lock(mutex_);
    const auto found = calls_.find(header.request_id);
    if (found == calls_.end() || found->second->answered_[server] || !status_.ok()) return Status();
    call = found->second;
    call->scattering_ = true;  // keeps Await from returning while rows are written
  }
  const bool early = header.type == MessageType::kEarlyRows;
  const Status status = early ? call->OnEarlyRows(server, payload.span()) : call->OnRows(server, payload.span());
  std::lock_guard lock(mutex_);
  call->scattering_ = false;
  if (!early || !status.ok()) Finish(call.get(), server, status.Wrap(Name(server)), {});
  changed_.notify_all();  // one who waited for the scattering to end
  return Status();
}

// With mutex_ held.
void Servers::Finish(Call* call, int server, const Status& status, OwnerReply reply) {
  if (call->answered_[server]) return;
  call->answered_[server] = true;
  call->replies[server] = std::move(reply);
  if (call->status_.ok()) call->status_ = status;
  if (--call->missing_ == 0 || !status.ok()) changed_.notify_all();
}

Status Servers::Begin(const std::shared_ptr<Call>& call) {
  std::lock_guard lock(mutex_);
  if (!status_.ok()) return status_;
  for (int server = 0; server < count(); ++server) {
    if (peers_[server].leaving) return FailedPrecondition(fmt::format("{} has ended the job", Name(server)));
  }
  call->id_ = next_id_++;
  call->missing_ = count();
  call->answered_.assign(peers_.size(), false);
  call->replies.resize(peers_.size());
  calls_.emplace(call->id_, call);
  return Status();
}

void Servers::Send(const Call* call, MessageType type, int server, Buffer payload) {
  bytes_sent_ += static_cast<int64_t>(kFrameHeaderBytes + payload.size());
  ++messages_sent_;
  const int64_t timeout_ms = std::min<int64_t>(options_.progress_ns / kNanosPerMilli, UINT32_MAX);
  peers_[server].link->Send(type, call ? call->id_ : 0, static_cast<uint32_t>(timeout_ms), std::move(payload));
}

void Servers::Submit(const std::shared_ptr<Call>& call, OwnerRequest request, std::shared_ptr<void> held) {
  const int server = options_.colocated_index;
  request.worker = options_.worker;
  request.timeout_ns = options_.progress_ns;
  request.done = [self = shared_from_this(), call, held = std::move(held), server](const Status& status,
                                                                                   OwnerReply reply) {
    if (!call) {
      if (!status.ok()) self->Fail(status.Wrap(self->Name(server)));
      return;
    }
    std::lock_guard lock(self->mutex_);
    self->Finish(call.get(), server, status.Wrap(self->Name(server)), std::move(reply));
  };
  options_.colocated->Submit(std::move(request));
}

void Servers::AnswerLocally(const std::shared_ptr<Call>& call, int server) {
  std::lock_guard lock(mutex_);
  Finish(call.get(), server, Status(), {});
}

Status Servers::Await(Call* call) {
  const int64_t start_ns = Now();
  std::unique_lock lock(mutex_);
  Status status;
  while (true) {
    const bool over = call->missing_ == 0 || !call->status_.ok() || !status_.ok();
    if (over && !call->scattering_) {
      status = call->missing_ == 0 || !call->status_.ok() ? call->status_ : status_;
      break;
    }
    transport_->Wait(lock, changed_, kCheckNanos);
    if (over) continue;
    if (options_.colocated) {
      const uint64_t progress = options_.colocated->progress();
      if (std::exchange(local_progress_, progress) != progress) progress_ns_ = Now();
    }
    const int64_t waited_ns = Now() - std::max(start_ns, progress_ns_);
    if (waited_ns <= options_.progress_ns + kAnswerGraceNanos || call->scattering_ || call->missing_ == 0) continue;
    std::string names;
    for (int server = 0; server < count(); ++server) {
      if (!call->answered_[server]) names += fmt::format("{}{}", names.empty() ? "" : ", ", Name(server));
    }
    status = DeadlineExceeded(
        fmt::format("{} of step {}: no answer and no progress for {:.1f} s (cluster.progress_s is "
                    "{:g}) from {}",
                    MessageTypeName(call->type), call->step, Seconds(waited_ns), Seconds(options_.progress_ns), names));
    break;
  }
  calls_.erase(call->id_);
  lock.unlock();
  if (!status.ok() && status.code() != StatusCode::kInvalidArgument) Fail(status);
  return status;
}

void Servers::Forget(Call* call) {
  std::unique_lock lock(mutex_);
  while (call->scattering_) transport_->Wait(lock, changed_, kCheckNanos);
  calls_.erase(call->id_);
}

void Servers::OnWelcome(int server, const Welcome& welcome) {
  std::lock_guard lock(mutex_);
  peers_[server].welcomed = true;
  peers_[server].applied = welcome.applied;
  changed_.notify_all();
}

void Servers::OnOver(int server, const Status& reason) {
  bool expected;
  {
    std::lock_guard lock(mutex_);
    Peer& peer = peers_[server];
    peer.closed = true;
    if (!peer.welcomed && peer.refused.ok()) peer.refused = reason;
    // After Goodbye, or before the worker joined, which reports for itself.
    expected = stopping_ || !status_.ok() || !peer.welcomed || (peer.leaving && !Owes(server));
    changed_.notify_all();
  }
  if (expected) return;
  Fail(reason.Wrap(fmt::format("{}, at step {}", Name(server), step_seen_.load())));
}

void Servers::Fail(const Status& reason) {
  {
    std::lock_guard lock(mutex_);
    if (!status_.ok()) return;
    status_ = reason;
    changed_.notify_all();
  }
  LOG(ERROR) << fmt::format("worker {}: {}", options_.worker, reason.ToString());
  transport_->Post([self = weak_from_this(), reason] {
    if (const auto held = self.lock()) held->TellFailure(reason);
  });
}

// Each server learns the cause, not only that this worker is gone.
void Servers::TellFailure(const Status& reason) {
  for (Peer& peer : peers_) {
    if (!peer.local) peer.link->Leave(MessageType::kError, EncodeError(reason));
  }
  bool attached;
  {
    std::lock_guard lock(mutex_);
    attached = std::exchange(attached_, false);
  }
  if (attached) options_.colocated->Detach(options_.worker, reason);
  if (options_.on_failure) options_.on_failure(reason);
}

void Servers::ScheduleTick() {
  const int64_t wait_ns = std::clamp<int64_t>(options_.silence_ns / 8, 10 * kNanosPerMilli, 250 * kNanosPerMilli);
  transport_->After(wait_ns, [this] {
    Tick();
    ScheduleTick();
  });
}

void Servers::Tick() {
  const int64_t now_ns = Now();
  // After a stall of this process what the servers sent meanwhile has not been read yet.
  const bool stalled = now_ns - std::exchange(tick_ns_, now_ns) > options_.silence_ns / 2;
  const bool beat = now_ns - heartbeat_ns_ >= std::min(kNanosPerSecond, options_.silence_ns / 4);
  if (beat) heartbeat_ns_ = now_ns;
  for (Peer& peer : peers_) {
    if (peer.local) continue;
    peer.link->Tick(stalled);
    if (beat) peer.link->SendHeartbeat(step_seen_);
  }
}

}  // namespace weir
