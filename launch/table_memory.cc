#include "launch/table_memory.h"

#include <algorithm>

namespace weir {
namespace {

// The most keys a feature can make; none when its vocabulary is unbounded.
std::optional<uint64_t> KeysMax(const SparseConfig& sparse) {
  std::optional<uint64_t> keys;
  // One more bucket than boundaries, and the default value, which is hashed like a value of its own.
  if (!sparse.boundaries().empty()) keys = sparse.boundaries_size() + 2;
  if (sparse.buckets() > 0) keys = std::min<uint64_t>(keys.value_or(sparse.buckets()), sparse.buckets());
  return keys;
}

std::optional<uint64_t> RowsMax(const Job& job, const std::string& table) {
  uint64_t rows = 0;
  uint64_t folded = 0;  // keys folded by mod lie in [0, buckets), whichever feature they are of
  for (const FeatureConfig& feature : job.features()) {
    if (!feature.has_sparse() || feature.sparse().table() != table) continue;
    const std::optional<uint64_t> keys = KeysMax(feature.sparse());
    if (!keys) return std::nullopt;
    if (*keys == feature.sparse().buckets()) {
      folded = std::max(folded, *keys);
    } else {
      rows += *keys;
    }
  }
  return rows + folded;
}

}  // namespace

std::vector<PredictedMemory> PredictTableMemory(const Job& job) {
  std::vector<PredictedMemory> predictions;
  for (const TableSpec& spec : TableSpecsFromJob(job)) {
    PredictedMemory memory;
    memory.table = spec.name;
    memory.dim = spec.layout.dim;
    memory.state_width = spec.layout.state_width();
    constexpr int64_t kHeadBytes = 3 * sizeof(uint64_t);  // key, last step, count
    memory.row_bytes = kHeadBytes + static_cast<int64_t>(spec.layout.width()) * static_cast<int64_t>(sizeof(float));
    memory.rows_max = RowsMax(job, spec.name);
    predictions.push_back(memory);
  }
  return predictions;
}

}  // namespace weir
