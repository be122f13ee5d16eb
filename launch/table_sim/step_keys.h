// StepKeys: the keys of one step under one way of folding, as workers would look them up and push them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "batch/batch.h"
#include "batch/feature.h"
#include "embeddings/distinct.h"

namespace weir {

// The distinct keys that one worker looks up in one table, and how often.
struct WorkerKeys {
  std::vector<uint64_t> keys;
  std::vector<int64_t> values;  // [keys]: how many looked-up values have the key
};

// tables[table][worker].
struct StepKeys {
  std::vector<std::vector<WorkerKeys>> tables;
};

// Makes StepKeys. One thread.
class KeyFolder {
 public:
  // feature_buckets: [Job.features], 0 where keys are not folded. `features` outlives the folder.
  KeyFolder(const FeatureSet& features, int num_tables, std::vector<uint64_t> feature_buckets);

  // batches: one per worker, with unfolded keys.
  StepKeys Fold(std::span<const Batch* const> batches);

  const std::vector<uint64_t>& feature_buckets() const { return feature_buckets_; }

 private:
  void AddFeature(const SparseFeature& feature, const Jagged& values, WorkerKeys* keys);

  const FeatureSet& features_;
  const int num_tables_;
  const std::vector<uint64_t> feature_buckets_;
  DistinctKeys distinct_;
  std::vector<uint64_t> folded_;
  std::vector<int32_t> numbers_;
};

}  // namespace weir
