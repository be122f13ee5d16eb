#include "param_server/server/sessions.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/clock.h"

namespace weir {
namespace {

constexpr int kStrangersMax = 64;
constexpr int64_t kHandshakeNanos = 5 * kNanosPerSecond;
constexpr int64_t kLastWordsNanos = kNanosPerSecond;     // for errors to reach the workers when the server stops
constexpr int64_t kShutdownNanos = 2 * kNanosPerSecond;  // for the workers to leave after Shutdown
constexpr int64_t kActivityGraceNanos = 2 * kNanosPerSecond;

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

}  // namespace

Sessions::Sessions(SessionsOptions options, std::shared_ptr<Transport> transport, Owner* owner)
    : options_(std::move(options)),
      transport_(std::move(transport)),
      owner_(owner),
      shards_{
          ShardBegin(options_.expected.server, options_.expected.num_servers, options_.expected.virtual_shards),
          ShardBegin(options_.expected.server + 1, options_.expected.num_servers, options_.expected.virtual_shards)},
      workers_(options_.expected.num_workers) {}

Sessions::~Sessions() { Stop(); }

Status Sessions::Start() {
  ListenOptions listen;
  listen.num_workers = static_cast<int>(options_.expected.num_workers);
  listen.bind_address = options_.bind_address;
  listen.port = options_.port;
  listen.who = fmt::format("server {}", options_.expected.server);
  WEIR_ASSIGN_OR_RETURN(address_, transport_->Listen(listen, [this](std::shared_ptr<Channel> channel) {
    AddStranger(std::move(channel));
  }));
  started_ = true;
  transport_->Post([this] {
    tick_ns_ = heartbeat_ns_ = Now();
    ScheduleTick();
  });
  return Status();
}

std::string Sessions::WorkerName(int worker) const {
  const Worker& state = workers_[worker];
  if (state.host.empty()) return fmt::format("worker {} (never connected)", worker);
  return fmt::format("worker {} on host {} ({}), at step {}", worker, state.host,
                     state.link ? state.peer : "this process", state.link ? state.step_seen : owner_->applied());
}

void Sessions::AddStranger(std::shared_ptr<Channel> channel) {
  const auto strangers = std::ranges::count_if(open_, [](const SessionPtr& s) { return s->worker < 0; });
  if (strangers >= kStrangersMax) {
    const auto oldest = std::ranges::find_if(open_, [](const SessionPtr& s) { return s->worker < 0; });
    const SessionPtr session = *oldest;
    session->channel->Close(ResourceExhausted(fmt::format("{} connections without a handshake", strangers)));
  }
  auto session = std::make_shared<Session>();
  session->channel = std::move(channel);
  session->accepted_ns = Now();
  open_.push_back(session);
  // Weak, since the channel holds the callbacks and the session the channel.
  std::weak_ptr<Session> weak = session;
  session->channel->Start(
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
  // A damaged stream is the connection's fault, and another one mends it.
  WEIR_ASSIGN_OR_RETURN(const bool fresh, workers_[session->worker].link->link.Receive(header));
  if (!fresh) return Status();
  if (header.type == MessageType::kHeartbeat) return OnHeartbeat(&workers_[session->worker], payload);
  if (header.sequence == 0) return DataLoss(fmt::format("a {} frame without a number", MessageTypeName(header.type)));
  const Status status = OnWorkerFrame(session, header, std::move(payload));
  // The job ends with it, and the worker itself is told why too.
  if (!status.ok()) Fail(status.Wrap(WorkerName(session->worker)));
  return Status();
}

Status Sessions::OnHeartbeat(Worker* worker, const Buffer& payload) {
  WEIR_ASSIGN_OR_RETURN(const HeartbeatMessage heartbeat, DecodeHeartbeat(payload.span()));
  WEIR_RETURN_IF_ERROR(worker->link->link.CheckSent(heartbeat.sent));
  worker->step_seen = std::max(worker->step_seen, heartbeat.step);
  return Status();
}

Status Sessions::OnWorkerFrame(const SessionPtr& session, const FrameHeader& header, Buffer payload) {
  switch (header.type) {
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
  LOG(WARNING) << fmt::format("server {}: dropped a connection from {}: {}{}", options_.expected.server,
                              session.channel->peer(), reason.ToString(),
                              drops_unlogged_ > 0 ? fmt::format(" ({} more were not logged)", drops_unlogged_) : "");
  drop_logged_ns_ = now_ns;
  drops_unlogged_ = 0;
}

void Sessions::OnClose(const SessionPtr& session, const Status& reason) {
  open_.remove(session);
  if (session->over) return;
  if (session->worker < 0) return LogDrop(*session, reason);
  Worker& worker = workers_[session->worker];
  worker.session = nullptr;
  worker.link->link.Detach();
  if (!session->channel->may_break()) return Fail(reason.Wrap(WorkerName(session->worker)));
  worker.broken = reason;
  LOG(WARNING) << fmt::format("server {}: {}: {}; waiting for it to connect again (cluster.silence_s is {:g})",
                              options_.expected.server, WorkerName(session->worker), reason.ToString(),
                              Seconds(options_.silence_ns));
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
  if (failed_) return Aborted("the server is ending");
  const Worker& worker = workers_[hello.worker];
  const std::string name = WorkerName(static_cast<int>(hello.worker));
  if (worker.attached && worker.link && hello.session == worker.session_id) {
    if (hello.epoch > worker.epoch) return Status();
    return FailedPrecondition(
        fmt::format("{} has connection {} already, and this is its {}", name, worker.epoch, hello.epoch));
  }
  if (shutdown_ns_ != 0) return Aborted("the server is ending");
  if (worker.attached) return AlreadyExists(fmt::format("{} is connected already", name));
  if (hello.received > 0) {
    return FailedPrecondition(fmt::format("{} was given up: its session is not known any more", name));
  }
  return Status();
}

bool Sessions::Resumes(const Hello& hello) const {
  const Worker& worker = workers_[hello.worker];
  return worker.attached && worker.link && worker.session_id == hello.session;
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
    session->channel->Send(std::make_shared<Frame>(MessageType::kError, header.request_id, 0, EncodeError(status)), 0);
    session->channel->CloseAfterWrites();
    return Status();
  }
  return Welcome(session, hello);
}

Status Sessions::Welcome(const SessionPtr& session, const Hello& hello) {
  const int index = static_cast<int>(hello.worker);
  Worker& worker = workers_[index];
  if (!Resumes(hello)) Join(hello, std::make_shared<WorkerLink>(), nullptr);
  if (const SessionPtr old = std::exchange(worker.session, session)) {
    old->over = true;
    old->channel->Close(Aborted("the worker has a newer connection"));
  }
  session->worker = index;
  session->channel->set_payload_bytes_max(options_.max_frame_bytes);
  worker.session_id = hello.session;
  worker.epoch = hello.epoch;
  worker.heard_ns = Now();
  worker.peer = session->channel->peer();
  Link& link = worker.link->link;
  const struct Welcome welcome = {.applied = owner_->applied(), .received = link.received()};
  session->channel->Send(std::make_shared<Frame>(MessageType::kWelcome, 0, 0, EncodeWelcome(welcome)), 0);
  const Status status = link.Attach(session->channel, hello.received);
  if (!status.ok()) Fail(status.Wrap(WorkerName(index)));
  return Status();
}

void Sessions::Join(const Hello& hello, std::shared_ptr<WorkerLink> link,
                    std::function<void(const Status&)> on_failure) {
  Worker& worker = workers_[hello.worker];
  worker = Worker();
  worker.attached = true;
  worker.link = std::move(link);
  worker.on_failure = std::move(on_failure);
  worker.host = hello.host;
  worker.step_seen = owner_->applied();
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

Result<int64_t> Sessions::Attach(const Hello& hello, std::function<void(const Status&)> on_failure) {
  Result<int64_t> applied = Unavailable("the server of this process has stopped");
  transport_->Run([&] {
    const Status status = CheckHello(hello);
    if (status.ok()) Join(hello, nullptr, on_failure);
    applied = status.ok() ? Result<int64_t>(owner_->applied()) : Result<int64_t>(status);
  });
  return applied;
}

void Sessions::Detach(int worker, const Status& reason) {
  // Does nothing when the transport has ended, and with it all callbacks.
  transport_->Run([&] {
    if (!workers_[worker].attached) return;
    if (reason.ok()) return Leave(worker);
    workers_[worker].on_failure = nullptr;
    Fail(reason.Wrap(WorkerName(worker)));
  });
}

void Sessions::RequestShutdown() {
  transport_->Post([this] { BeginShutdown(0); });
}

void Sessions::BeginShutdown(int by_worker) {
  if (shutdown_ns_ != 0 || failed_) return;
  shutdown_ns_ = Now();
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (!workers_[w].attached) continue;
    if (!workers_[w].link) {
      Leave(static_cast<int>(w));  // shares our process, and cannot be cut off
    } else if (static_cast<int>(w) != by_worker) {
      workers_[w].link->link.Send(MessageType::kGoodbye, 0, 0, {});
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
    if (worker.session) {
      worker.session->over = true;
      worker.link->link.Send(MessageType::kError, 0, 0, EncodeError(reason));
      worker.session->channel->CloseAfterWrites();
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
  while (!has_ended_) transport_->Wait(lock, ended_, kNanosPerSecond);
  return end_status_;
}

void Sessions::CloseAll() {
  const std::list<SessionPtr> all = open_;
  for (const SessionPtr& session : all) {
    session->over = true;
    session->channel->Close(Aborted("the server has stopped"));
  }
}

void Sessions::Stop() {
  if (!started_) return End(Aborted("the server was never started"));
  // Last words of a failure first: sessions that were told close by themselves when the worker has read them.
  const int64_t end_ns = Now() + kLastWordsNanos;
  bool waiting = true;
  while (waiting && Now() < end_ns) {
    waiting = false;
    transport_->Run([&] { waiting = failed_ && !open_.empty(); });
    if (waiting) transport_->clock().SleepNanos(5 * kNanosPerMilli);
  }
  transport_->Run([&] {
    transport_->StopListening();
    CloseAll();
  });
  transport_->Stop();
  End(Aborted("the server was stopped"));
}

void Sessions::ScheduleTick() {
  const int64_t wait_ns = std::clamp<int64_t>(options_.silence_ns / 8, 10 * kNanosPerMilli, 250 * kNanosPerMilli);
  transport_->After(wait_ns, [this] {
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
    for (Worker& worker : workers_) worker.heard_ns = now_ns;
  }
  WatchStrangers(now_ns);
  WatchWorkers(now_ns);
  if (!failed_) WatchActivity(now_ns);
  if (failed_) return;
  if (now_ns - heartbeat_ns_ >= std::min(kNanosPerSecond, options_.silence_ns / 4)) {
    heartbeat_ns_ = now_ns;
    SendHeartbeats();
  }
  WatchShutdown(now_ns);
}

// Where connections break, a worker may have yet to connect again, and to hear that this is the end.
void Sessions::WatchShutdown(int64_t now_ns) {
  if (shutdown_ns_ == 0) return;
  const auto may_come_again = [](const Worker& w) {
    return w.attached && w.link && (w.session == nullptr || w.session->channel->may_break());
  };
  const int64_t limit_ns = std::ranges::any_of(workers_, may_come_again) ? options_.silence_ns : kShutdownNanos;
  if (now_ns - shutdown_ns_ > limit_ns) End(Status());
}

void Sessions::WatchStrangers(int64_t now_ns) {
  const std::list<SessionPtr> all = open_;
  for (const SessionPtr& session : all) {
    if (session->worker >= 0 && !session->over) continue;
    const int64_t limit_ns = std::min(kHandshakeNanos, options_.silence_ns);
    if (session->worker < 0 && now_ns - session->accepted_ns > limit_ns) {
      session->channel->Close(DeadlineExceeded(fmt::format("no handshake within {:.1f} s", Seconds(limit_ns))));
    } else if (session->over && now_ns - session->channel->last_heard_ns() > limit_ns) {
      session->channel->Close(Aborted("the session is over"));
    }
  }
}

void Sessions::WatchWorkers(int64_t now_ns) {
  if (shutdown_ns_ != 0) return;
  for (size_t w = 0; w < workers_.size() && !failed_; ++w) {
    if (workers_[w].attached && workers_[w].link) WatchWorker(static_cast<int>(w), now_ns);
  }
}

void Sessions::WatchWorker(int index, int64_t now_ns) {
  Worker& worker = workers_[index];
  if (worker.session) worker.heard_ns = std::max(worker.heard_ns, worker.session->channel->last_heard_ns());
  const int64_t silent_ns = now_ns - worker.heard_ns;
  if (silent_ns <= options_.silence_ns) return;
  if (worker.session) worker.session->over = true;
  Fail(Unavailable(
      fmt::format("{}: nothing heard for {:.1f} s (cluster.silence_s is {:g}){}{}", WorkerName(index),
                  Seconds(silent_ns), Seconds(options_.silence_ns),
                  worker.session ? "" : "; its connection broke: ", worker.session ? "" : worker.broken.message())));
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
    Link& link = worker.link->link;
    link.SendOnce(MessageType::kHeartbeat,
                  EncodeHeartbeat({.step = owner_->applied(), .progress = owner_->progress(), .sent = link.sent()}));
  }
}

}  // namespace weir
