// PolicyRun: the tables of a job under one policy, replayed step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/table_sim/sim_table.h"
#include "launch/table_sim/step_keys.h"

namespace weir {

// Of one table, or of all together.
struct TableOutcome {
  std::string table;
  int64_t rows = 0;  // at the end
  int64_t rows_peak = 0;
  int64_t rows_evicted = 0;
  int64_t bytes = 0;  // at the end
  int64_t bytes_peak = 0;
  ValueCounts counts;
  int64_t folded_keys = 0;     // distinct keys that are folded into buckets
  int64_t colliding_keys = 0;  // of them, that share a bucket
};

// The outcome of a stretch of steps.
struct PolicyPoint {
  int64_t step = 0;  // the last of the stretch
  ValueCounts counts;
  int64_t rows = 0;   // after it
  int64_t bytes = 0;  // after it
};

struct PolicyOutcome {
  std::string policy;
  std::vector<TableOutcome> tables;  // in the job's order
  TableOutcome total;                // its peaks are of the sums over tables
  std::vector<PolicyPoint> points;
};

// One thread.
class PolicyRun {
 public:
  // specs: of the policy's job. steps_a_point: length of a stretch.
  PolicyRun(const std::string& name, const std::vector<TableSpec>& specs, int virtual_shards, int64_t steps_a_point);

  // keys: folded as the policy says. Steps rise by one from 1.
  void Step(int64_t step, const StepKeys& keys);

  // Without folded_keys and colliding_keys.
  PolicyOutcome Finish();

 private:
  void EndPoint(int64_t step);

  const int64_t steps_a_point_;
  PolicyOutcome outcome_;
  std::vector<std::unique_ptr<SimTable>> tables_;
  PolicyPoint point_;  // under way
  int64_t last_step_ = 0;
};

}  // namespace weir
