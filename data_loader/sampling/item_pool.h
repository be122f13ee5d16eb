// ItemPool: the items that negatives are drawn from, with the values of their features.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "batch/batch.h"
#include "data_loader/extractor.h"
#include "proto/job.pb.h"

namespace weir {

// A feature of an item: where its values stand in a batch of the job, and in the pool's.
struct ItemFeature {
  bool sparse = false;
  int in_batch = 0;  // index into Batch.sparse, or column of Batch.numeric
  int in_pool = 0;
};

// Constant once read. Memory: 40 bytes an item, and its features' values.
struct ItemPool {
  Batch items;  // a sample an item, of the item's features alone
  std::vector<ItemFeature> features;
  int id = 0;                  // index into items.sparse of the feature that is the item's id
  int id_in_batch = 0;         // and into a batch's
  std::vector<double> counts;  // [items]
  std::unordered_map<uint64_t, uint32_t> by_id;

  uint64_t id_of(uint32_t item) const { return items.sparse[id].values[item]; }
};

// The job with these features only, in its order.
Job WithFeatures(const Job& job, const std::vector<std::string>& names);

// The items of negatives.pool, or those of `source` itself. An id that comes again is the same item, with the features
// that it had first. Rows that cannot be used, or without exactly one id, are left out with a warning. Errors: those of
// reading; InvalidArgument for a count that is none, no item at all, or ids that would be hashed apart from those of
// `samples`, the source's own; the caller says which setting it was for.
Result<ItemPool> ReadItemPool(const Job& job, const SourceConfig& source, const NegativesConfig& negatives,
                              const FeatureExtractor& samples);

}  // namespace weir
