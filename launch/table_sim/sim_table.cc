#include "launch/table_sim/sim_table.h"

#include <algorithm>

#include <glog/logging.h>

namespace weir {
namespace {

OptimizerConfig CountingRule() {
  OptimizerConfig rule;
  rule.set_learning_rate(1);
  rule.mutable_sgd();
  return rule;
}

TableSpec CountingSpec(TableSpec spec) {
  spec.optimizer = CountingRule();
  spec.layout = MakeRowLayout(1, spec.optimizer);
  spec.initializer.mutable_constant()->set_value(0);
  spec.disk_path.clear();  // a disk changes neither which keys have rows nor what is read
  return spec;
}

int64_t RowBytes(const RowLayout& layout) { return layout.weight_bytes() + int64_t{4} * layout.state_width(); }

}  // namespace

SimTable::SimTable(const TableSpec& spec, int virtual_shards)
    : tables_({CountingSpec(spec)}, virtual_shards),
      row_bytes_more_(RowBytes(spec.layout) - RowBytes(CountingSpec(spec).layout)) {}

int64_t SimTable::bytes() const { return tables_.bytes(0) + rows_max_ * row_bytes_more_; }

void SimTable::Pull(std::span<const uint64_t> keys) {
  weights_.resize(keys.size());
  const Status pulled = tables_.Pull(1, PullKind::kEvaluation, 0, keys, weights_.data());
  CHECK(pulled.ok()) << pulled.ToString();  // only a disk can fail
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
    Pull(worker.keys);
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
  const Status applied = tables_.Apply(step, pushes_);
  CHECK(applied.ok()) << applied.ToString();

  Pull(missed_.keys());
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
