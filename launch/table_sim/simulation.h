// The replay of a job's keys against several policies at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "launch/table_sim/policies.h"
#include "launch/table_sim/policy_run.h"
#include "proto/job.pb.h"

namespace weir {

struct SimOptions {
  int workers = 1;       // as the training would have
  int64_t rows_max = 0;  // rows of the data to replay, rounded up to whole steps; 0 for the whole training
  // Told after each step.
  std::function<void(int64_t steps, int64_t rows, int64_t rows_in_all)> on_step = [](int64_t, int64_t, int64_t) {};
};

struct SimResult {
  int64_t steps = 0;
  int64_t rows = 0;  // of the data
  std::vector<PolicyOutcome> policies;
};

// Reads data.train of `job` (resolved) as training would: the same files, order, hashing, bad rows left out, epochs and
// train.max_steps. Each policy has a thread, a few steps behind the reading one. Errors are the loader's.
Result<SimResult> SimulateTables(const Job& job, std::span<const SimPolicy> policies, const SimOptions& options);

}  // namespace weir
