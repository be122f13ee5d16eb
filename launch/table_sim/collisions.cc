#include "launch/table_sim/collisions.h"

#include <algorithm>

namespace weir {

void Collisions::Add(std::span<const uint64_t> keys, uint64_t buckets) {
  if (buckets == 0) return;
  numbers_.resize(keys.size());
  keys_[buckets].Add(keys, numbers_.data());
}

Collisions::Count Collisions::Total() const {
  // Features that fold differently still share the table's rows: bucket 7 of both is one row.
  std::vector<std::pair<uint64_t, uint64_t>> folded;  // bucket, key
  for (const auto& [buckets, distinct] : keys_) {
    for (const uint64_t key : distinct.keys()) folded.emplace_back(key % buckets, key);
  }
  std::sort(folded.begin(), folded.end());
  folded.erase(std::unique(folded.begin(), folded.end()), folded.end());
  Count count;
  count.distinct_keys = static_cast<int64_t>(folded.size());
  for (size_t begin = 0; begin < folded.size();) {
    size_t end = begin;
    while (end < folded.size() && folded[end].first == folded[begin].first) ++end;
    if (end - begin > 1) count.colliding_keys += static_cast<int64_t>(end - begin);
    begin = end;
  }
  return count;
}

}  // namespace weir
