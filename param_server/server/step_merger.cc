#include "param_server/server/step_merger.h"

#include <algorithm>

#include <fmt/format.h>

namespace weir {

StepMerger::StepMerger(int num_workers) : workers_(num_workers) {}

void StepMerger::Join(int worker) {
  workers_[worker].left = false;
  workers_[worker].sequence = 0;
}

void StepMerger::Leave(int worker) { workers_[worker].left = true; }

Result<bool> StepMerger::Add(OwnerRequest& push) {
  Worker& worker = workers_[push.worker];
  if (push.sequence <= worker.sequence) return false;
  if (push.sequence != worker.sequence + 1) {
    return FailedPrecondition(fmt::format("push of step {} by worker {}: expected sequence number {}, found {}",
                                          push.step, push.worker, worker.sequence + 1, push.sequence));
  }
  if (push.step != worker.pushed + 1) {
    return FailedPrecondition(
        fmt::format("push by worker {}: expected step {}, found step {}", push.worker, worker.pushed + 1, push.step));
  }
  if (push.step > applied_ + kStepsAheadMax) {
    return ResourceExhausted(fmt::format("push of step {} by worker {}: only step {} is applied, and {} steps may wait",
                                         push.step, push.worker, applied_, kStepsAheadMax));
  }
  worker.sequence = push.sequence;
  worker.pushed = push.step;
  worker.pending.push_back(std::move(push));
  return true;
}

bool StepMerger::complete() const {
  return std::ranges::all_of(workers_, [](const Worker& worker) { return !worker.pending.empty(); });
}

std::vector<OwnerRequest> StepMerger::Take() {
  std::vector<OwnerRequest> step;
  step.reserve(workers_.size());
  for (Worker& worker : workers_) {
    step.push_back(std::move(worker.pending.front()));
    worker.pending.pop_front();
  }
  ++applied_;
  return step;
}

Status StepMerger::StartAt(int64_t step) {
  for (const Worker& worker : workers_) {
    if (worker.pushed != 0) {
      return FailedPrecondition(
          fmt::format("loading step {}: steps up to {} were pushed already", step, worker.pushed));
    }
  }
  applied_ = step;
  for (Worker& worker : workers_) worker.pushed = step;
  return Status();
}

std::string StepMerger::Missing(int64_t step) const {
  std::string text;
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (workers_[w].pushed >= step) continue;
    text += fmt::format("{}worker {} (last pushed step {})", text.empty() ? "" : ", ", w, workers_[w].pushed);
  }
  return text;
}

Status StepMerger::CheckReachable(int64_t step) const {
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (!workers_[w].left || workers_[w].pushed >= step) continue;
    return FailedPrecondition(
        fmt::format("step {} cannot be applied: worker {} ended after pushing step {}", step, w, workers_[w].pushed));
  }
  return Status();
}

}  // namespace weir
