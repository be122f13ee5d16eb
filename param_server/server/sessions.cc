#include "param_server/server/sessions.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <asio/post.hpp>

#include "base/clock.h"

namespace weir {
namespace {

constexpr int kStrangersMax = 64;
constexpr int64_t kHandshakeNanos = 5 * kNanosPerSecond;
constexpr int64_t kLastWordsNanos = kNanosPerSecond;     // for errors to reach the workers when the server stops
constexpr int64_t kShutdownNanos = 2 * kNanosPerSecond;  // for the workers to leave after Shutdown
constexpr int64_t kActivityGraceNanos = 2 * kNanosPerSecond;

int64_t Now() { return SystemClock().SteadyNanos(); }

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

}  // namespace

Sessions::Sessions(SessionsOptions options, Owner* owner)
    : options_(std::move(options)),
      owner_(owner),
      shards_{
          ShardBegin(options_.expected.server, options_.expected.num_servers, options_.expected.virtual_shards),
          ShardBegin(options_.expected.server + 1, options_.expected.num_servers, options_.expected.virtual_shards)},
      tcp_(io_),
      unix_(io_),
      tick_timer_(io_),
      workers_(options_.expected.num_workers) {}

Sessions::~Sessions() { Stop(); }

Status Sessions::Start() {
  WEIR_RETURN_IF_ERROR(ListenTcp());
  ListenUnix();
  tick_ns_ = heartbeat_ns_ = Now();
  Accept(&tcp_);
  if (unix_.is_open()) Accept(&unix_);
  ScheduleTick();
  thread_ = std::thread([this] { io_.run(); });
  return Status();
}

std::string Sessions::WorkerName(int worker) const {
  const Worker& state = workers_[worker];
  if (state.host.empty()) return fmt::format("worker {} (never connected)", worker);
  return fmt::format("worker {} on host {} ({}), at step {}", worker, state.host,
                     state.session ? state.session->peer : "this process",
                     state.session ? state.step_seen : owner_->applied());
}

void Sessions::AddStranger(Connection::Socket socket, std::string peer) {
  const auto strangers = std::ranges::count_if(open_, [](const SessionPtr& s) { return s->worker < 0; });
  if (strangers >= kStrangersMax) {
    const auto oldest = std::ranges::find_if(open_, [](const SessionPtr& s) { return s->worker < 0; });
    const SessionPtr session = *oldest;
    session->connection->Close(ResourceExhausted(fmt::format("{} connections without a handshake", strangers)));
  }
  auto session = std::make_shared<Session>();
  session->connection = std::make_shared<Connection>(std::move(socket), options_.token, kHandshakeBytesMax);
  session->peer = std::move(peer);
  session->accepted_ns = Now();
  open_.push_back(session);
  // Weak, since the connection holds the callbacks and the session the connection.
  std::weak_ptr<Session> weak = session;
  session->connection->Start(
      [this, weak](const FrameHeader& header, Buffer payload) {
        const SessionPtr held = weak.lock();
        return held ? OnFrame(held, header, std::move(payload)) : Aborted("the session has ended");
      },
      [this, weak](const Status& reason) {
        if (const SessionPtr held = weak.lock()) OnClose(held, reason);
      });
}

Status Sessions::OnFrame(const SessionPtr& session, const FrameHeader& header, Buffer payload) {
  if (session->over) return Status();
  if (session->worker < 0) return OnHello(session, header, payload);
  const Status status = OnWorkerFrame(session, header, std::move(payload));
  // The job ends with it, and the worker itself is told why too.
  if (!status.ok()) Fail(status.Wrap(WorkerName(session->worker)));
  return Status();
}

Status Sessions::OnWorkerFrame(const SessionPtr& session, const FrameHeader& header, Buffer payload) {
  Worker& worker = workers_[session->worker];
  switch (header.type) {
    case MessageType::kHeartbeat: {
      WEIR_ASSIGN_OR_RETURN(const HeartbeatMessage heartbeat, DecodeHeartbeat(payload.span()));
      worker.step_seen = std::max(worker.step_seen, heartbeat.step);
      return Status();
    }
    case MessageType::kPull:
      return OnPull(session, header, std::move(payload));
    case MessageType::kPush:
      return OnPush(session, std::move(payload));
    case MessageType::kDrain:
    case MessageType::kSave:
    case MessageType::kLoad:
    case MessageType::kStats:
      return OnSimpleRequest(session, header, payload);
    default:
      return OnPeerEnd(session, header, payload);
  }
}

void Sessions::LogDrop(const Session& session, const Status& reason) {
  const int64_t now_ns = Now();
  if (drop_logged_ns_ != 0 && now_ns - drop_logged_ns_ < kNanosPerSecond) {
    ++drops_unlogged_;
    return;
  }
  LOG(WARNING) << fmt::format("server {}: dropped a connection from {}: {}{}", options_.expected.server, session.peer,
                              reason.ToString(),
                              drops_unlogged_ > 0 ? fmt::format(" ({} more were not logged)", drops_unlogged_) : "");
  drop_logged_ns_ = now_ns;
  drops_unlogged_ = 0;
}

void Sessions::OnClose(const SessionPtr& session, const Status& reason) {
  open_.remove(session);
  if (session->over) return;
  if (session->worker < 0) return LogDrop(*session, reason);
  Fail(reason.Wrap(WorkerName(session->worker)));
}

Status Sessions::CheckHello(const Hello& hello) const {
  const Hello& mine = options_.expected;
  const auto differs = [&](std::string_view what, uint64_t expected, uint64_t found) {
    return FailedPrecondition(
        fmt::format("server {} and worker {} were started from different jobs: {}: expected {}, "
                    "found {}",
                    mine.server, hello.worker, what, expected, found));
  };
  if (hello.server != mine.server) return differs("server", mine.server, hello.server);
  if (hello.num_servers != mine.num_servers) return differs("servers", mine.num_servers, hello.num_servers);
  if (hello.num_workers != mine.num_workers) return differs("workers", mine.num_workers, hello.num_workers);
  if (hello.virtual_shards != mine.virtual_shards) {
    return differs("cluster.virtual_shards", mine.virtual_shards, hello.virtual_shards);
  }
  if (hello.num_tables != mine.num_tables) return differs("tables", mine.num_tables, hello.num_tables);
  if (hello.table_digest != mine.table_digest) {
    return differs("digest of tables and optimizers", mine.table_digest, hello.table_digest);
  }
  if (hello.worker >= mine.num_workers) {
    return InvalidArgument(fmt::format("worker {} of a job with {} workers", hello.worker, mine.num_workers));
  }
  if (workers_[hello.worker].attached) {
    return AlreadyExists(fmt::format("{} is connected already", WorkerName(static_cast<int>(hello.worker))));
  }
  if (failed_ || shutdown_ns_ != 0) return Aborted("the server is ending");
  return Status();
}

Status Sessions::OnHello(const SessionPtr& session, const FrameHeader& header, const Buffer& payload) {
  if (header.type != MessageType::kHello) {
    return Unauthenticated(fmt::format("expected a Hello, found a {} frame", MessageTypeName(header.type)));
  }
  WEIR_ASSIGN_OR_RETURN(const Hello hello, DecodeHello(payload.span()));
  const Status status = CheckHello(hello);
  if (!status.ok()) {
    LogDrop(*session, status);
    session->over = true;
    session->connection->Send(MessageType::kError, header.request_id, 0, EncodeError(status));
    session->connection->CloseAfterWrites();
    return Status();
  }
  session->worker = static_cast<int>(hello.worker);
  session->connection->set_payload_bytes_max(options_.max_frame_bytes);
  Join(hello, session, nullptr);
  session->connection->Send(MessageType::kWelcome, header.request_id, 0, EncodeStep(owner_->applied()));
  return Status();
}

void Sessions::Join(const Hello& hello, SessionPtr session, std::function<void(const Status&)> on_failure) {
  Worker& worker = workers_[hello.worker];
  worker = {.attached = true,
            .left = false,
            .session = std::move(session),
            .on_failure = std::move(on_failure),
            .host = hello.host,
            .step_seen = owner_->applied(),
            .pushes_seen = 0,
            .pulled = {}};
  all_left_ns_ = 0;
  OwnerRequest request;
  request.type = MessageType::kHello;
  request.worker = static_cast<int>(hello.worker);
  owner_->Submit(std::move(request));
}

void Sessions::Leave(int index) {
  Worker& worker = workers_[index];
  worker.attached = false;
  worker.left = true;
  worker.on_failure = nullptr;
  worker.pulled.clear();
  OwnerRequest request;
  request.type = MessageType::kGoodbye;
  request.worker = index;
  owner_->Submit(std::move(request));
  if (std::ranges::all_of(workers_, [](const Worker& w) { return w.left; })) all_left_ns_ = Now();
  EndIfAllLeft();
}

// Waits for what was posted to the I/O thread, which never blocks; false if the thread has ended.
template <typename Future>
bool Sessions::WaitForIo(Future& future) const {
  while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (io_.stopped()) return false;
  }
  return true;
}

Result<int64_t> Sessions::Attach(const Hello& hello, std::function<void(const Status&)> on_failure) {
  auto done = std::make_shared<std::promise<Result<int64_t>>>();
  auto result = done->get_future();
  asio::post(io_, [this, done, hello, on_failure] {
    const Status status = CheckHello(hello);
    if (!status.ok()) return done->set_value(status);
    Join(hello, nullptr, on_failure);
    done->set_value(owner_->applied());
  });
  if (!WaitForIo(result)) return Unavailable("the server of this process has stopped");
  return result.get();
}

void Sessions::Detach(int worker, const Status& reason) {
  auto done = std::make_shared<std::promise<void>>();
  auto result = done->get_future();
  asio::post(io_, [this, done, worker, reason] {
    if (workers_[worker].attached) {
      if (reason.ok()) {
        Leave(worker);
      } else {
        workers_[worker].on_failure = nullptr;
        Fail(reason.Wrap(WorkerName(worker)));
      }
    }
    done->set_value();
  });
  WaitForIo(result);  // false when the I/O thread has ended, and with it all callbacks
}

void Sessions::RequestShutdown() {
  asio::post(io_, [this] { BeginShutdown(0); });
}

void Sessions::BeginShutdown(int by_worker) {
  if (shutdown_ns_ != 0 || failed_) return;
  shutdown_ns_ = Now();
  asio::error_code error;
  tcp_.close(error);
  unix_.close(error);
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (!workers_[w].attached) continue;
    if (!workers_[w].session) {
      Leave(static_cast<int>(w));  // shares our process, and cannot be cut off
    } else if (static_cast<int>(w) != by_worker) {
      workers_[w].session->connection->Send(MessageType::kGoodbye, 0, 0, {});
    }
  }
  EndIfAllLeft();
}

void Sessions::EndIfAllLeft() {
  const bool all_left = std::ranges::none_of(workers_, [](const Worker& w) { return w.attached; });
  if (shutdown_ns_ != 0 && all_left) End(Status());
}

void Sessions::Fail(const Status& reason) {
  if (failed_) return;
  failed_ = true;
  owner_->Fail(reason);
  LOG(ERROR) << fmt::format("server {}: {}", options_.expected.server, reason.ToString());
  for (Worker& worker : workers_) {
    if (!worker.attached) continue;
    if (worker.session && !worker.session->connection->closed()) {
      worker.session->over = true;
      worker.session->connection->Send(MessageType::kError, 0, 0, EncodeError(reason));
      worker.session->connection->CloseAfterWrites();
    } else if (worker.on_failure) {
      std::exchange(worker.on_failure, nullptr)(reason);
    }
  }
  End(reason);
}

void Sessions::End(const Status& status) {
  std::lock_guard lock(mutex_);
  if (has_ended_) return;
  has_ended_ = true;
  end_status_ = status;
  ended_.notify_all();
}

Status Sessions::Wait() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return has_ended_; });
  return end_status_;
}

void Sessions::CloseAll() {
  const std::list<SessionPtr> all = open_;
  for (const SessionPtr& session : all) {
    session->over = true;
    session->connection->Close(Aborted("the server has stopped"));
  }
}

void Sessions::Stop() {
  if (!thread_.joinable()) return End(Aborted("the server was never started"));
  // Last words of a failure first: sessions that were told close by themselves when the worker has read them.
  const int64_t end_ns = Now() + kLastWordsNanos;
  bool waiting = true;
  while (waiting && Now() < end_ns) {
    std::promise<bool> asked;
    asio::post(io_, [&] { asked.set_value(failed_ && !open_.empty()); });
    waiting = asked.get_future().get();
    if (waiting) SystemClock().SleepNanos(5 * kNanosPerMilli);
  }
  std::promise<void> closed;
  asio::post(io_, [&] {
    asio::error_code error;
    tcp_.close(error);
    unix_.close(error);
    CloseAll();
    closed.set_value();
  });
  closed.get_future().get();
  io_.stop();
  thread_.join();
  End(Aborted("the server was stopped"));
}

void Sessions::ScheduleTick() {
  const int64_t wait_ns = std::clamp<int64_t>(options_.silence_ns / 8, 10 * kNanosPerMilli, 250 * kNanosPerMilli);
  tick_timer_.expires_after(std::chrono::nanoseconds(wait_ns));
  tick_timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    Tick();
    ScheduleTick();
  });
}

void Sessions::Tick() {
  const int64_t now_ns = Now();
  const bool stalled = now_ns - std::exchange(tick_ns_, now_ns) > options_.silence_ns / 2;
  if (failed_) return;
  if (stalled) {
    // This process itself was stopped or starved: what the others sent meanwhile has not been read yet.
    for (const SessionPtr& session : open_) session->connection->ForgiveSilence(now_ns);
  }
  WatchStrangers(now_ns);
  WatchWorkers(now_ns);
  if (!failed_) WatchActivity(now_ns);
  if (failed_) return;
  if (now_ns - heartbeat_ns_ >= std::min(kNanosPerSecond, options_.silence_ns / 4)) {
    heartbeat_ns_ = now_ns;
    SendHeartbeats();
  }
  if (shutdown_ns_ != 0 && now_ns - shutdown_ns_ > kShutdownNanos) End(Status());
}

void Sessions::WatchStrangers(int64_t now_ns) {
  const std::list<SessionPtr> all = open_;
  for (const SessionPtr& session : all) {
    if (session->worker >= 0 && !session->over) continue;
    const int64_t limit_ns = std::min(kHandshakeNanos, options_.silence_ns);
    if (session->worker < 0 && now_ns - session->accepted_ns > limit_ns) {
      session->connection->Close(DeadlineExceeded(fmt::format("no handshake within {:.1f} s", Seconds(limit_ns))));
    } else if (session->over && now_ns - session->connection->last_heard_ns() > limit_ns) {
      session->connection->Close(Aborted("the session is over"));
    }
  }
}

void Sessions::WatchWorkers(int64_t now_ns) {
  for (size_t w = 0; w < workers_.size() && !failed_; ++w) {
    const Worker& worker = workers_[w];
    if (!worker.attached || !worker.session) continue;
    const int64_t silent_ns = now_ns - worker.session->connection->last_heard_ns();
    if (silent_ns <= options_.silence_ns) continue;
    worker.session->over = true;
    Fail(Unavailable(fmt::format("{}: nothing heard for {:.1f} s (cluster.silence_s is {:g})",
                                 WorkerName(static_cast<int>(w)), Seconds(silent_ns), Seconds(options_.silence_ns))));
  }
}

void Sessions::WatchActivity(int64_t now_ns) {
  if (shutdown_ns_ != 0) return;
  if (all_left_ns_ != 0) {
    if (now_ns - all_left_ns_ > options_.silence_ns) {
      Fail(Aborted("all workers left, and worker 0 did not tell the servers to stop"));
    }
    return;
  }
  // Requests that wait run into their own deadline first, which names the workers that are late.
  if (now_ns - owner_->active_ns() <= options_.progress_ns + kActivityGraceNanos) return;
  std::string names;
  for (size_t w = 0; w < workers_.size(); ++w) {
    names += fmt::format("{}{}", names.empty() ? "" : "; ", WorkerName(static_cast<int>(w)));
  }
  Fail(DeadlineExceeded(fmt::format("no request for {:.1f} s (cluster.progress_s is {:g}): {}",
                                    Seconds(now_ns - owner_->active_ns()), Seconds(options_.progress_ns), names)));
}

void Sessions::SendHeartbeats() {
  for (const Worker& worker : workers_) {
    if (!worker.attached || !worker.session) continue;
    worker.session->connection->Send(MessageType::kHeartbeat, 0, 0,
                                     EncodeHeartbeat({.step = owner_->applied(), .progress = owner_->progress()}));
  }
}

}  // namespace weir
