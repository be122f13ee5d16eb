// StepMerger: which pushes of which step are in. Pure bookkeeping, without threads or rows.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "param_server/local_server.h"

namespace weir {

// A step is complete when every worker has pushed it; steps are taken in order, pushes in worker order.
// Holds at most kStepsAheadMax pushes a worker. One thread.
class StepMerger {
 public:
  explicit StepMerger(int num_workers);

  // The worker begins a connection of its own sequence numbers.
  void Join(int worker);
  // The worker will push no more, until it joins again.
  void Leave(int worker);

  // Takes a push and returns true; false if its sequence number was seen before (the push is left as it was). Errors:
  // FailedPrecondition (a gap in sequence or steps), ResourceExhausted (too far ahead).
  Result<bool> Add(OwnerRequest& push);

  // The push of the worker that Add took last; valid until the next Take.
  OwnerRequest& last(int worker) { return workers_[worker].pending.back(); }

  // Whether the step after applied() is complete; Take then hands it over and counts it as applied.
  bool complete() const;
  std::vector<OwnerRequest> Take();

  // `step` is the last applied one from now on. FailedPrecondition if pushes have come already.
  Status StartAt(int64_t step);

  int64_t applied() const { return applied_; }
  // The workers that have not pushed `step`, for messages: "worker 1 (last pushed step 55)".
  std::string Missing(int64_t step) const;
  // OK unless a worker left that has not pushed `step`: it will never be applied.
  Status CheckReachable(int64_t step) const;

 private:
  struct Worker {
    bool left = false;
    uint64_t sequence = 0;             // last one taken on this connection
    int64_t pushed = 0;                // last step pushed
    std::deque<OwnerRequest> pending;  // steps applied_ + 1 .. pushed
  };
  std::vector<Worker> workers_;
  int64_t applied_ = 0;
};

}  // namespace weir
