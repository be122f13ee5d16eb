#include "launch/table_sim/step_keys.h"

#include <algorithm>
#include <utility>

namespace weir {

KeyFolder::KeyFolder(const FeatureSet& features, int num_tables, std::vector<uint64_t> feature_buckets)
    : features_(features), num_tables_(num_tables), feature_buckets_(std::move(feature_buckets)) {}

StepKeys KeyFolder::Fold(std::span<const Batch* const> batches) {
  StepKeys step;
  step.tables.assign(num_tables_, std::vector<WorkerKeys>(batches.size()));
  for (int table = 0; table < num_tables_; ++table) {
    for (size_t worker = 0; worker < batches.size(); ++worker) {
      WorkerKeys& keys = step.tables[table][worker];
      distinct_.Clear();
      for (size_t f = 0; f < features_.sparse.size(); ++f) {
        const SparseFeature& feature = features_.sparse[f];
        if (feature.table == table) AddFeature(feature, batches[worker]->sparse[f], &keys);
      }
      keys.keys.assign(distinct_.keys().begin(), distinct_.keys().end());
    }
  }
  return step;
}

void KeyFolder::AddFeature(const SparseFeature& feature, const Jagged& values, WorkerKeys* keys) {
  const uint64_t buckets = feature_buckets_[feature.config];
  folded_.clear();
  for (int64_t i = 0; i < values.num_samples(); ++i) {
    std::span<const uint64_t> sample = values.sample(i);
    // Of a sequence the net sees, and a step looks up, the first max_length values.
    if (feature.max_length > 0) sample = sample.first(std::min<size_t>(sample.size(), feature.max_length));
    for (const uint64_t key : sample) folded_.push_back(buckets == 0 ? key : key % buckets);
  }
  numbers_.resize(folded_.size());
  distinct_.Add(folded_, numbers_.data());
  keys->values.resize(distinct_.size());
  for (const int32_t number : numbers_) ++keys->values[number];
}

}  // namespace weir
