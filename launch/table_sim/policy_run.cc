#include "launch/table_sim/policy_run.h"

#include <algorithm>
#include <utility>

namespace weir {

PolicyRun::PolicyRun(const std::string& name, const std::vector<TableSpec>& specs, int virtual_shards,
                     int64_t steps_a_point)
    : steps_a_point_(steps_a_point) {
  outcome_.policy = name;
  for (const TableSpec& spec : specs) {
    outcome_.tables.emplace_back().table = spec.name;
    tables_.push_back(std::make_unique<SimTable>(spec, virtual_shards));
  }
}

void PolicyRun::Step(int64_t step, const StepKeys& keys) {
  int64_t rows = 0, bytes = 0;
  for (size_t t = 0; t < tables_.size(); ++t) {
    TableOutcome& table = outcome_.tables[t];
    const ValueCounts counts = tables_[t]->Step(step, keys.tables[t]);
    table.counts.Add(counts);
    point_.counts.Add(counts);
    table.rows = tables_[t]->rows();
    table.bytes = tables_[t]->bytes();
    table.rows_evicted = tables_[t]->rows_evicted();
    table.rows_peak = std::max(table.rows_peak, table.rows);
    table.bytes_peak = std::max(table.bytes_peak, table.bytes);
    rows += table.rows;
    bytes += table.bytes;
  }
  TableOutcome& total = outcome_.total;
  total.rows = rows;
  total.bytes = bytes;
  total.rows_peak = std::max(total.rows_peak, rows);
  total.bytes_peak = std::max(total.bytes_peak, bytes);
  last_step_ = step;
  if (step % steps_a_point_ == 0) EndPoint(step);
}

void PolicyRun::EndPoint(int64_t step) {
  point_.step = step;
  point_.rows = outcome_.total.rows;
  point_.bytes = outcome_.total.bytes;
  outcome_.points.push_back(point_);
  point_ = PolicyPoint();
}

PolicyOutcome PolicyRun::Finish() {
  if (last_step_ % steps_a_point_ != 0) EndPoint(last_step_);
  outcome_.total.table = "all";
  for (const TableOutcome& table : outcome_.tables) {
    outcome_.total.counts.Add(table.counts);
    outcome_.total.rows_evicted += table.rows_evicted;
  }
  return std::move(outcome_);
}

}  // namespace weir
