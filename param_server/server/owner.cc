#include "param_server/server/owner.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "embeddings/bucket.h"
#include "param_server/row_messages.h"

namespace weir {
namespace {

// How long the thread sleeps at most: bounds the time until a failure reaches requests that wait.
constexpr int64_t kNapNanos = 200 * kNanosPerMilli;

// A smaller part of a pull's rows is not worth a message of its own.
constexpr size_t kEarlyShare = 4;

bool HasLimits(const TableSpec& table) {
  const TableLimits& limits = table.limits;
  return limits.memory_bytes > 0 || limits.shard_rows_max || limits.disk || limits.allow_list ||
         limits.admission.kind_case() != AdmissionConfig::KIND_NOT_SET || limits.eviction.ByteSizeLong() > 0;
}

std::vector<bool> LooksAhead(const OwnerOptions& options) {
  std::vector<bool> tables;
  for (const TableSpec& table : options.tables) {
    tables.push_back(options.look_ahead && table.consistency.synchronous() && !HasLimits(table));
  }
  return tables;
}

bool HasSynchronous(std::span<const TableSpec> tables) {
  return std::ranges::any_of(tables, [](const TableSpec& table) { return table.consistency.synchronous(); });
}

bool Waits(MessageType type) {
  return type == MessageType::kPull || type == MessageType::kDrain || type == MessageType::kSave;
}

}  // namespace

Owner::Owner(OwnerOptions options)
    : options_(std::move(options)),
      clock_(options_.runs_on != nullptr ? options_.runs_on->clock() : SystemClock()),
      track_{options_.trace, options_.trace != nullptr ? options_.trace->AddTrack("rows of the server") : 0},
      shards_{ShardBegin(options_.server, options_.num_servers, options_.virtual_shards),
              ShardBegin(options_.server + 1, options_.num_servers, options_.virtual_shards)},
      tables_(options_.tables, options_.virtual_shards,
              {fmt::format("server-{}", options_.server), shards_.end - shards_.begin}),
      strictest_(Strictest(options_.tables)),
      merges_(HasSynchronous(options_.tables)),
      merger_(options_.num_workers),
      look_ahead_(options_.num_workers, LooksAhead(options_)),
      step_pushes_(options_.num_workers),
      rows_by_staleness_(kStepsAheadMax + 1),
      queue_(static_cast<size_t>(options_.num_workers) * (kRequestsMax + 8)),
      progress_ns_(Now()),
      active_ns_(Now()) {
  if (options_.runs_on == nullptr) {
    thread_ = std::thread([this] { Run(); });
  } else {
    ScheduleTick();
  }
}

Owner::~Owner() { Stop(); }

void Owner::Submit(OwnerRequest request) {
  active_ns_ = Now();
  switch (queue_.Push(request, 0)) {
    case QueueOutcome::kDone:
      if (options_.runs_on != nullptr) options_.runs_on->Post([this] { RunOnTransport(); });
      return;
    case QueueOutcome::kTimedOut:
      if (request.done) request.done(ResourceExhausted("the server's queue of requests is full"), {});
      return;
    case QueueOutcome::kClosed:
      if (request.done) request.done(Aborted("the server has stopped"), {});
      return;
  }
}

void Owner::Fail(const Status& reason) {
  {
    std::lock_guard lock(failure_mutex_);
    if (!failure_.ok()) return;
    failure_ = reason;
  }
  failed_ = true;
}

void Owner::Stop() {
  Fail(Aborted("the server has stopped"));
  queue_.Close();
  if (thread_.joinable()) thread_.join();
  if (options_.runs_on == nullptr) return;
  OwnerRequest request;
  while (queue_.Pop(&request, 0) == QueueOutcome::kDone) RunNext(&request);
  RunWaiting();
}

Status Owner::failure() const {
  std::lock_guard lock(failure_mutex_);
  return failure_;
}

void Owner::NoteProgress() {
  ++progress_;
  progress_ns_ = active_ns_ = Now();
}

void Owner::Run() {
  while (true) {
    OwnerRequest request;
    const QueueOutcome outcome = queue_.Pop(&request, WaitNanos());
    if (outcome == QueueOutcome::kClosed) break;
    RunNext(outcome == QueueOutcome::kDone ? &request : nullptr);
  }
  RunWaiting();  // the failure set by Stop answers all
}

void Owner::RunNext(OwnerRequest* request) {
  if (request != nullptr) Handle(std::move(*request));
  RunWaiting();
  AnswerAhead();
}

void Owner::RunOnTransport() {
  OwnerRequest request;
  RunNext(queue_.Pop(&request, 0) == QueueOutcome::kDone ? &request : nullptr);
}

void Owner::ScheduleTick() {
  options_.runs_on->After(kNapNanos, [this] {
    RunNext(nullptr);
    ScheduleTick();
  });
}

int64_t Owner::WaitNanos() const {
  int64_t wait_ns = kNapNanos;
  const int64_t now_ns = Now();
  for (const Waiting& waiting : waiting_) {
    const int64_t end_ns = std::max(waiting.since_ns, progress_ns_.load()) + waiting.request.timeout_ns;
    wait_ns = std::min(wait_ns, std::max<int64_t>(end_ns - now_ns, 0));
  }
  return wait_ns;
}

int64_t Owner::NeededStep(const OwnerRequest& request) const {
  if (request.type != MessageType::kPull) return request.step;
  if (request.kind == PullKind::kEvaluation) return request.step - 1;
  return strictest_.NeededStep(request.step);
}

void Owner::Handle(OwnerRequest request) {
  if (failed_) {
    if (request.done) request.done(failure(), {});
    return;
  }
  if (request.type == MessageType::kPush) return HandlePush(std::move(request));
  if (Waits(request.type)) {
    if (request.type == MessageType::kPull && request.kind == PullKind::kTraining) {
      Prefetch(request);
      look_ahead_.NotePull(request, merger_.applied());
    }
    const uint64_t number = NumberPull(request);
    waiting_.push_back({.request = std::move(request), .since_ns = Now(), .pull = number});
    return;  // RunWaiting comes next
  }
  Waiting now = {.request = std::move(request)};
  RunRequest(&now);
}

// While the workers compute the step before it, rows of a pull come from disk.
void Owner::Prefetch(const OwnerRequest& request) {
  if (NeededStep(request) <= merger_.applied()) return;
  for (const TablePull& pull : request.pulls) {
    const Status status = tables_.Prefetch(pull.table, pull.keys);
    if (!status.ok()) return Fail(status.Wrap(fmt::format("server {}, step {}", options_.server, request.step)));
  }
}

void Owner::HandlePush(OwnerRequest request) {
  const int worker = request.worker;
  const int64_t step = request.step;
  GiveFound(&request);
  const Status promised = look_ahead_.CheckPush(request);
  Result<bool> added = promised.ok() ? merger_.Add(request) : Result<bool>(promised);
  if (!added.ok()) {
    if (request.done) request.done(added.status(), {});
    return;
  }
  if (!*added) {
    if (request.done) request.done(Status(), {});
    return;
  }
  CountPush(merger_.last(worker));
  step_pushed_ = std::max(step_pushed_, step);
  OwnerRequest& push = merger_.last(worker);
  const Status status = ApplyAlone(&push);
  if (!status.ok()) Fail(status);
  // Lets its gradients go.
  if (push.done && (!merges_ || !status.ok())) std::exchange(push.done, nullptr)(status, {});
  if (!status.ok()) return;
  ApplySteps();
}

uint64_t Owner::NumberPull(const OwnerRequest& pull) {
  const bool training = pull.type == MessageType::kPull && pull.kind == PullKind::kTraining;
  if (!training || pull.step > merger_.applied() + kStepsAheadMax + 1) return 0;
  found_[{pull.step, pull.worker}] = {++last_pull_, {}};
  return last_pull_;
}

void Owner::KeepFound(Waiting* pull) {
  if (pull->pull == 0) return;
  const auto found = found_.find({pull->request.step, pull->request.worker});
  if (found != found_.end() && found->second.pull == pull->pull) found->second.rows = std::move(pull->found);
}

void Owner::GiveFound(OwnerRequest* push) {
  const auto found = found_.find({push->step, push->worker});
  if (found == found_.end()) return;
  if (push->as_pulled && found->second.rows.size() == push->pushes.size()) {
    push->found = std::move(found->second.rows);
    for (size_t i = 0; i < push->pushes.size(); ++i) push->pushes[i].found = &push->found[i];
  }
  found_.erase(found);
}

Status Owner::ApplyAlone(OwnerRequest* push) {
  const auto merged = [&](const TablePush& of_table) {
    return options_.tables[of_table.table].consistency.synchronous();
  };
  if (std::ranges::all_of(push->pushes, merged)) return Status();
  const TraceSpan span(track_, "apply", push->step);
  for (const TablePush& of_table : push->pushes) {
    if (of_table.keys.empty() || merged(of_table)) continue;
    WEIR_RETURN_IF_ERROR(
        tables_.Train(step_pushed_, of_table)
            .Wrap(fmt::format("server {}, step {} of worker {}", options_.server, push->step, push->worker)));
  }
  std::erase_if(push->pushes, [&](const TablePush& of_table) { return !merged(of_table); });
  return Status();
}

// Worker 0's clock counts, so that all servers take the step for as old.
Status Owner::ApplyMerged(std::vector<OwnerRequest>* pushes) {
  const int64_t unix_ms = (*pushes)[0].unix_ms;
  const TraceSpan span(track_, "apply", merger_.applied());
  for (size_t w = 0; w < pushes->size(); ++w) step_pushes_[w] = std::move((*pushes)[w].pushes);
  return tables_.Apply(merger_.applied(), step_pushes_, unix_ms)
      .Wrap(fmt::format("server {}, step {}", options_.server, merger_.applied()));
}

void Owner::ApplySteps() {
  while (merger_.complete()) {
    std::vector<OwnerRequest> pushes = merger_.Take();
    const Status status = ApplyMerged(&pushes);
    if (!status.ok()) {
      Fail(status);
      for (OwnerRequest& push : pushes) {
        if (push.done) push.done(status, {});
      }
      return;
    }
    applied_ = merger_.applied();
    found_.erase(found_.begin(), found_.lower_bound({applied_ + 1, 0}));
    NoteProgress();
    for (OwnerRequest& push : pushes) {
      if (push.done) push.done(Status(), {});
    }
  }
}

// Runs what can run, in the order it came, and answers what has waited too long or in vain.
void Owner::RunWaiting() {
  if (waiting_.empty()) return;
  const bool failed = failed_;
  const int64_t now_ns = Now();
  std::vector<Waiting> still;
  std::vector<Waiting> all = std::exchange(waiting_, {});
  for (Waiting& waiting : all) {
    OwnerRequest& request = waiting.request;
    const int64_t needed = NeededStep(request);
    Status status;
    if (failed) {
      status = failure();
    } else if (needed <= merger_.applied()) {
      RunRequest(&waiting);
      continue;
    } else if (now_ns - std::max(waiting.since_ns, progress_ns_.load()) > request.timeout_ns) {
      status = DeadlineExceeded(fmt::format("{} of step {} by worker {} waited {:.1f} s for step {}; missing: {}",
                                            MessageTypeName(request.type), request.step, request.worker,
                                            static_cast<double>(now_ns - waiting.since_ns) / kNanosPerSecond, needed,
                                            merger_.Missing(merger_.applied() + 1)));
    } else {
      status = merger_.CheckReachable(needed);
    }
    if (status.ok()) {
      still.push_back(std::move(waiting));
    } else if (request.done) {
      request.done(status, {});
    }
  }
  waiting_ = std::move(still);
}

Status Owner::CheckStep(const OwnerRequest& request) const {
  if (request.type == MessageType::kDrain) return Status();
  const int64_t last = request.type == MessageType::kPull ? request.step - 1 : request.step;
  if (merger_.applied() <= last) return Status();
  return FailedPrecondition(
      fmt::format("{} of step {} by worker {}: step {} is applied already, and the rows before it "
                  "are gone",
                  MessageTypeName(request.type), request.step, request.worker, merger_.applied()));
}

void Owner::AnswerAhead() {
  for (Waiting& waiting : waiting_) {
    if (waiting.asked_ahead || !waiting.request.on_early) continue;
    const Status status = AnswerAhead(&waiting);
    if (!status.ok()) return Fail(status);
  }
}

// What is left, if only the word that the steps before are applied, comes as ever.
Status Owner::AnswerAhead(Waiting* waiting) {
  const OwnerRequest& request = waiting->request;
  std::vector<std::vector<uint32_t>> free = FindFree(request);
  size_t num_free = 0, num_keys = 0;
  for (size_t i = 0; i < request.pulls.size(); ++i) {
    num_free += free[i].size();
    num_keys += request.pulls[i].keys.size();
  }
  // It may yet become known what others owe.
  if (num_free == 0 && !look_ahead_.IsKnown(request.step)) return Status();
  waiting->asked_ahead = true;
  if (num_free == 0 || num_free * kEarlyShare < num_keys) return Status();
  const TraceSpan span(track_, "pull ahead", request.step);
  waiting->found.resize(request.pulls.size());
  for (size_t i = 0; i < request.pulls.size(); ++i) {
    WEIR_RETURN_IF_ERROR(PullSome(request, request.pulls[i], free[i], &waiting->found[i]));
    waiting->late.push_back(OtherPositions(free[i], request.pulls[i].keys.size()));
  }
  load_.keys_early += static_cast<int64_t>(num_free);
  load_.bytes_out += request.on_early(free);
  return Status();
}

std::vector<std::vector<uint32_t>> Owner::FindFree(const OwnerRequest& pull) {
  const bool known = look_ahead_.IsKnown(pull.step);
  std::vector<std::vector<uint32_t>> free(pull.pulls.size());
  for (size_t i = 0; i < pull.pulls.size(); ++i) {
    const TablePull& of_table = pull.pulls[i];
    if (look_ahead_.table(of_table.table)) {
      if (known) look_ahead_.FindFree(pull.step, merger_.applied(), of_table, &free[i]);
    } else if (options_.tables[of_table.table].consistency.NeededStep(pull.step) <= merger_.applied()) {
      free[i].resize(of_table.keys.size());
      std::iota(free[i].begin(), free[i].end(), 0);
    }
  }
  return free;
}

void Owner::RunRequest(Waiting* waiting) {
  OwnerRequest* request = &waiting->request;
  OwnerReply reply;
  Status status = Waits(request->type) ? CheckStep(*request) : Status();
  if (status.ok()) {
    switch (request->type) {
      case MessageType::kPull:
        status = Pull(waiting);
        if (status.ok()) KeepFound(waiting);
        CountPull(*request);
        if (request->kind == PullKind::kEvaluation) NoteProgress();
        break;
      case MessageType::kSave:
        status = Save(*request, &reply);
        break;
      case MessageType::kLoad:
        status = Load(*request);
        break;
      case MessageType::kStats:
        reply.stats.load = load_;
        for (int table = 0; table < tables_.num_tables(); ++table) reply.stats.load.rows += tables_.num_rows(table);
        reply.stats.load.bytes = tables_.bytes();
        for (int table = 0; table < tables_.num_tables(); ++table) reply.stats.tables.push_back(tables_.stats(table));
        reply.stats.rows_by_staleness = rows_by_staleness_;
        break;
      case MessageType::kHello:
        merger_.Join(request->worker);
        break;
      case MessageType::kGoodbye:
        merger_.Leave(request->worker);
        break;
      default:  // a drain is done when it runs
        break;
    }
  }
  if (request->done) request->done(status, std::move(reply));
}

void Owner::CountPull(const OwnerRequest& request) {
  for (const TablePull& pull : request.pulls) load_.keys_pulled += static_cast<int64_t>(pull.keys.size());
  load_.bytes_in += request.bytes_in;
  load_.bytes_out += request.bytes_out;
}

void Owner::CountPush(const OwnerRequest& request) {
  for (const TablePush& push : request.pushes) load_.keys_pushed += static_cast<int64_t>(push.keys.size());
  load_.bytes_in += request.bytes_in;
}

void Owner::CountStaleness(const TablePull& pull, int64_t step, size_t rows) {
  const bool synchronous = options_.tables[pull.table].consistency.synchronous();
  const int64_t unseen = synchronous ? 0 : std::clamp<int64_t>(step - 1 - merger_.applied(), 0, kStepsAheadMax);
  rows_by_staleness_[unseen] += static_cast<int64_t>(rows);
}

Status Owner::Pull(Waiting* waiting) {
  const OwnerRequest& request = waiting->request;
  const TraceSpan span(track_, "pull", request.step);
  const bool training = request.kind == PullKind::kTraining;
  waiting->found.resize(request.pulls.size());
  for (size_t i = 0; i < request.pulls.size(); ++i) {
    const TablePull& pull = request.pulls[i];
    FoundRows* found = &waiting->found[i];
    if (!waiting->late.empty()) {
      WEIR_RETURN_IF_ERROR(PullSome(request, pull, waiting->late[i], found));
      continue;
    }
    WEIR_RETURN_IF_ERROR(
        tables_.Pull(request.step, request.kind, pull.table, pull.keys, pull.rows, training ? found : nullptr)
            .Wrap(fmt::format("server {}, step {}", options_.server, request.step)));
    if (training) CountStaleness(pull, request.step, pull.keys.size());
  }
  return Status();
}

Status Owner::PullSome(const OwnerRequest& request, const TablePull& pull, std::span<const uint32_t> positions,
                       FoundRows* found) {
  if (positions.empty()) return Status();
  const size_t dim = options_.tables[pull.table].layout.dim;
  some_keys_.clear();
  for (const uint32_t position : positions) some_keys_.push_back(pull.keys[position]);
  some_rows_.resize(positions.size() * dim);
  WEIR_RETURN_IF_ERROR(tables_.Pull(request.step, request.kind, pull.table, some_keys_, some_rows_.data(), &some_found_)
                           .Wrap(fmt::format("server {}, step {}", options_.server, request.step)));
  for (size_t i = 0; i < positions.size(); ++i) {
    std::copy_n(some_rows_.data() + i * dim, dim, pull.rows + positions[i] * dim);
  }
  if (!some_found_.rows.empty()) {
    // The first part's count stays: rows that were erased since may be among its own.
    if (found->rows.empty()) *found = {std::vector<uint32_t>(pull.keys.size(), kNoRow), some_found_.num_erased};
    for (size_t i = 0; i < positions.size(); ++i) found->rows[positions[i]] = some_found_.rows[i];
  }
  CountStaleness(pull, request.step, positions.size());
  return Status();
}

Status Owner::Save(const OwnerRequest& request, OwnerReply* reply) {
  if (shards_.begin == shards_.end) return Status();
  if (!options_.row_files) return FailedPrecondition("this server was given no row files");
  Result<std::vector<DataFile>> files = options_.row_files->Write(
      tables_, shards_, request.folder, fmt::format("server-{}", options_.server), [this] { NoteProgress(); });
  if (!files.ok()) return files.status().Wrap(fmt::format("saving step {}", request.step));
  tables_.ForgetTombstones();
  reply->files = std::move(*files);
  NoteProgress();
  return Status();
}

Status Owner::Load(const OwnerRequest& request) {
  WEIR_RETURN_IF_ERROR(merger_.StartAt(request.step));
  applied_ = step_pushed_ = request.step;
  look_ahead_.StartAt(request.step);
  if (shards_.begin == shards_.end) return Status();
  if (!options_.row_files) return FailedPrecondition("this server was given no row files");
  const Status status =
      options_.row_files->Read(request.folder, request.files, shards_, &tables_, [this] { NoteProgress(); });
  NoteProgress();
  return status.Wrap(fmt::format("loading step {}", request.step));
}

}  // namespace weir
