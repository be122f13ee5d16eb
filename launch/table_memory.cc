#include "launch/table_memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "embeddings/admission.h"
#include "embeddings/eviction.h"
#include "embeddings/table_limits.h"
#include "proto/memory_size.h"

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

std::optional<uint64_t> KeysMax(const Job& job, const std::string& table) {
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

// A bucket of 64 bytes has seven slots, of which seven eighths are used at most; a segment that has just doubled uses
// half of that.
constexpr double kIndexBytesMin = 64 / (7 * 0.875);
constexpr double kIndexBytesMax = 2 * kIndexBytesMin;

// The least memory with which each virtual shard of the table has a row.
int64_t LeastMemory(TableLimits limits, const RowLayout& layout, int virtual_shards) {
  int64_t too_little = 0;
  int64_t enough = limits.memory_bytes;
  do {
    too_little = enough;
    enough *= 2;
    limits.memory_bytes = enough;
  } while (*ShardRowsMax(limits, layout, virtual_shards) == 0);
  while (enough - too_little > 1) {
    limits.memory_bytes = too_little + (enough - too_little) / 2;
    (*ShardRowsMax(limits, layout, virtual_shards) == 0 ? too_little : enough) = limits.memory_bytes;
  }
  return enough;
}

}  // namespace

std::optional<int64_t> PredictedMemory::bytes_max() const {
  if (budget_bytes) return budget_bytes;
  if (!keys_max) return std::nullopt;
  return filter_bytes +
         static_cast<int64_t>(static_cast<double>(*keys_max) * (static_cast<double>(row_bytes) + index_bytes_max));
}

std::vector<PredictedMemory> PredictTableMemory(const Job& job) {
  const int virtual_shards = job.cluster().virtual_shards();
  std::vector<PredictedMemory> predictions;
  for (const TableSpec& spec : TableSpecsFromJob(job)) {
    PredictedMemory prediction;
    prediction.table = spec.name;
    prediction.dim = spec.layout.dim;
    prediction.state_width = spec.layout.state_width();
    prediction.row_bytes = StoredRowBytes(spec.layout);
    prediction.index_bytes_min = kIndexBytesMin;
    prediction.index_bytes_max = kIndexBytesMax;
    prediction.filter_bytes = FilterBytesMax(spec.limits.admission, virtual_shards);
    prediction.keys_max = KeysMax(job, spec.name);
    if (spec.limits.memory_bytes > 0) prediction.budget_bytes = spec.limits.memory_bytes;
    const std::optional<int64_t> shard_rows = ShardRowsMax(spec.limits, spec.layout, virtual_shards);
    if (shard_rows) prediction.budget_rows = *shard_rows * virtual_shards;
    predictions.push_back(prediction);
  }
  return predictions;
}

Status CheckTableMemory(const Job& job) {
  const int virtual_shards = job.cluster().virtual_shards();
  const std::vector<TableSpec> specs = TableSpecsFromJob(job);
  for (size_t i = 0; i < specs.size(); ++i) {
    const TableSpec& spec = specs[i];
    if (ShardRowsMax(spec.limits, spec.layout, virtual_shards).value_or(1) > 0) continue;
    // Rounded up to what a person would write.
    const int64_t least = LeastMemory(spec.limits, spec.layout, virtual_shards);
    const int64_t unit = least >= int64_t{1} << 20 ? int64_t{1} << 20 : int64_t{1} << 10;
    return InvalidArgument(fmt::format(
        "tables[{}].memory is {}, expected at least {} for a row in each of {} virtual shards", i,
        FormatMemory(spec.limits.memory_bytes), FormatMemory((least + unit - 1) / unit * unit), virtual_shards));
  }
  return Status();
}

}  // namespace weir
