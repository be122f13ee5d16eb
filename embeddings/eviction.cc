#include "embeddings/eviction.h"

#include <algorithm>
#include <cmath>

#include <glog/logging.h>

#include "embeddings/key_index.h"
#include "embeddings/slab_pool.h"

namespace weir {
namespace {

constexpr int64_t kBlockBytes = SlabPool::kBlockBytes;
constexpr int64_t kSmallPageBytes = kPageBytes;
// Directory entry, keys of a segment, rows of a shard.
constexpr int64_t kShardBytes = 20;

int64_t WorstIndexBytes(int64_t shard_rows) {
  int log_buckets = 0;
  while (log_buckets < KeyIndex::kMaxLogBuckets && KeyIndex::KeysMax(log_buckets) < shard_rows) ++log_buckets;
  const int64_t segment = int64_t{sizeof(Bucket)} << log_buckets;
  if (KeyIndex::KeysMax(log_buckets) >= shard_rows) return segment;
  // Segments split at about the same time, for keys are evenly hashed; the fullest is at most a twentieth ahead.
  int64_t segments = 1;
  while (segments * KeyIndex::KeysMax(KeyIndex::kMaxLogBuckets) * 19 / 20 < shard_rows) segments *= 2;
  // The directory has an entry for each, and may be one doubling ahead.
  return segments * (segment + 2 * kShardBytes);
}

int64_t ArrayBytes(int64_t rows, int64_t row_bytes) {
  const int64_t rows_per_block = kBlockBytes / row_bytes;
  if (rows <= rows_per_block) return (rows * row_bytes + kSmallPageBytes - 1) / kSmallPageBytes * kSmallPageBytes;
  return (rows + rows_per_block - 1) / rows_per_block * kBlockBytes;
}

}  // namespace

double SquareNorm(std::span<const float> weights) {
  double sum = 0;
  for (float weight : weights) sum += static_cast<double>(weight) * static_cast<double>(weight);
  return sum;
}

void SelectVictims(EvictionConfig::WhenFull when_full, int64_t n, std::span<EvictionRow> rows) {
  CHECK(n >= 0 && n <= static_cast<int64_t>(rows.size())) << n << " of " << rows.size();
  const auto select = [&](auto value) {
    const auto lower = [&](const EvictionRow& a, const EvictionRow& b) {
      return value(a) != value(b) ? value(a) < value(b) : a.key < b.key;
    };
    std::nth_element(rows.begin(), rows.begin() + n, rows.end(), lower);
    std::sort(rows.begin(), rows.begin() + n, lower);
  };
  switch (when_full) {
    case EvictionConfig::LEAST_RECENT:
      return select([](const EvictionRow& row) { return row.last_step; });
    case EvictionConfig::LEAST_FREQUENT:
      return select([](const EvictionRow& row) { return row.count; });
    case EvictionConfig::SMALL_NORM:
      // Without an order for NaN the selection would be undefined: it counts as the largest.
      return select([](const EvictionRow& row) { return std::isnan(row.square_norm) ? INFINITY : row.square_norm; });
    case EvictionConfig::REFUSE:
      break;
  }
  LOG(FATAL) << "a policy that refuses has no victims";
}

int64_t RowsToDrop(int64_t rows_max, int64_t rows, int64_t droppable, int64_t new_rows) {
  const int64_t missing = rows + new_rows - rows_max;
  if (missing <= 0) return 0;
  const int64_t batch = std::max<int64_t>(rows_max / 16, 1);
  return std::min(droppable, (missing + batch - 1) / batch * batch);
}

SweepRule::SweepRule(const EvictionConfig& config)
    : ttl_steps_(config.ttl_steps()),
      ttl_s_(config.ttl_s()),
      min_norm_(config.min_norm()),
      every_steps_(config.every_steps()) {}

std::vector<int> SweepRule::ShardsAt(int64_t step, int virtual_shards) const {
  std::vector<int> shards;
  if (!active()) return shards;
  for (int64_t v = step % every_steps_; v < virtual_shards; v += every_steps_) shards.push_back(static_cast<int>(v));
  return shards;
}

SweepRule::Limits SweepRule::LimitsAt(int64_t step, const StepTimes* times) const {
  Limits limits;
  if (ttl_steps_ > 0) limits.expired_step = step - ttl_steps_;
  if (ttl_s_ > 0) {
    const int64_t last = times->LastExpired();
    if (last > 0) limits.expired_step = std::max(limits.expired_step, last);
  }
  if (min_norm_ > 0) {
    limits.norm_step = step - every_steps_;
    limits.square_norm_min = min_norm_ * min_norm_;
  }
  return limits;
}

int64_t WorstTableBytes(const BudgetTerms& terms, int64_t shard_rows) {
  const int64_t shards = terms.virtual_shards;
  const int64_t rows = shard_rows * shards;
  return terms.filter_bytes + shards * (kShardBytes + WorstIndexBytes(shard_rows)) +
         ArrayBytes(rows, terms.weight_bytes) + ArrayBytes(rows, terms.record_bytes);
}

int64_t ShardRowsMax(const BudgetTerms& terms) {
  CHECK(terms.virtual_shards > 0 && terms.weight_bytes > 0 && terms.record_bytes > 0);
  const int64_t memory = terms.memory_bytes - terms.memory_bytes / 32;
  int64_t fits = 0;
  int64_t too_many = terms.memory_bytes / terms.weight_bytes / terms.virtual_shards + 1;
  while (too_many - fits > 1) {
    const int64_t middle = fits + (too_many - fits) / 2;
    (WorstTableBytes(terms, middle) <= memory ? fits : too_many) = middle;
  }
  return fits;
}

}  // namespace weir
