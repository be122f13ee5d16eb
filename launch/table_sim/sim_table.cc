#include "launch/table_sim/sim_table.h"

#include <algorithm>

#include <glog/logging.h>

namespace weir {
namespace {

// The same limits on rows of one weight, which begins at 0 and grows by 1 for each push.
TableSpec CountingSpec(TableSpec spec, int virtual_shards) {
  // Before the layout changes, from which it follows.
  spec.limits.shard_rows_max = ShardRowsMax(spec.limits, spec.layout, virtual_shards);
  spec.optimizer = OptimizerConfig();
  spec.optimizer.set_learning_rate(1);
  spec.optimizer.mutable_sgd();
  spec.layout = MakeRowLayout(1, spec.optimizer);
  spec.initializer.mutable_constant()->set_value(0);
  return spec;
}

// Only a disk can fail, and tables have none here.
void CheckDone(const Status& status) { CHECK(status.ok()) << status.ToString(); }

int64_t RowBytes(const RowLayout& layout) {
  return layout.weight_bytes() + int64_t{layout.state_width()} * static_cast<int64_t>(sizeof(float));
}

}  // namespace

SimTable::SimTable(const TableSpec& spec, int virtual_shards)
    : tables_({CountingSpec(spec, virtual_shards)}, virtual_shards),
      row_bytes_more_(RowBytes(spec.layout) - RowBytes(tables_.spec(0).layout)) {}

int64_t SimTable::bytes() const { return tables_.bytes(0) + rows_max_ * row_bytes_more_; }

void SimTable::Pull(int64_t step, std::span<const uint64_t> keys) {
  weights_.resize(keys.size());
  CheckDone(tables_.Pull(step, PullKind::kTraining, 0, keys, weights_.data()));
}

void SimTable::AddMiss(uint64_t key, int64_t values) {
  int32_t number;
  missed_.Add({&key, 1}, &number);
  if (number == static_cast<int32_t>(missed_values_.size())) missed_values_.push_back(0);
  missed_values_[number] += values;
}

ValueCounts SimTable::Step(int64_t step, std::span<const WorkerKeys> workers) {
  ValueCounts counts;
  missed_.Clear(static_cast<int64_t>(missed_values_.size()));
  missed_values_.clear();
  pushes_.resize(workers.size());
  for (size_t w = 0; w < workers.size(); ++w) {
    const WorkerKeys& worker = workers[w];
    Pull(step, worker.keys);
    for (size_t i = 0; i < worker.keys.size(); ++i) {
      counts.values += worker.values[i];
      if (weights_[i] > 0) {
        counts.hits += worker.values[i];
      } else {
        AddMiss(worker.keys[i], worker.values[i]);
      }
    }
    gradients_.resize(std::max(gradients_.size(), worker.keys.size()), -1.0f);
  }
  for (size_t w = 0; w < workers.size(); ++w) {
    pushes_[w].clear();
    if (!workers[w].keys.empty()) pushes_[w].push_back({0, workers[w].keys, gradients_.data()});
  }
  CheckDone(tables_.Apply(step, pushes_));

  Pull(step + 1, missed_.keys());
  for (size_t i = 0; i < missed_values_.size(); ++i) {
    if (weights_[i] > 0) {
      ++rows_made_;
    } else {
      counts.rejected += missed_values_[i];
    }
  }
  rows_max_ = std::max(rows_max_, rows());
  return counts;
}

}  // namespace weir
