// TableOracle: what a table with SGD should hold, by the plain rules, in maps of the standard library.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "embeddings/table_set.h"

namespace weir {

// Initial weights are 0. Exact as long as gradients and the rate are small multiples of powers of two.
class TableOracle {
 public:
  struct Row {
    int64_t last_step = 0;
    uint64_t count = 0;
    std::vector<float> weights;
    bool operator==(const Row&) const = default;
  };

  struct Rules {
    int dim = 1;
    float rate = 0;
    int virtual_shards = 1;
    std::optional<int64_t> shard_rows_max{};
    EvictionConfig eviction{};
  };

  explicit TableOracle(const Rules& rules) : rules_(rules), shards_(rules.virtual_shards) {}

  // One worker's push. gradients: [keys.size(), dim].
  void Apply(int64_t step, const std::vector<uint64_t>& keys, const std::vector<float>& gradients) {
    std::vector<std::vector<std::pair<uint64_t, size_t>>> missing(shards_.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const int number = VirtualShard(keys[i], rules_.virtual_shards);
      const auto row = shards_[number].find(keys[i]);
      if (row == shards_[number].end()) {
        missing[number].emplace_back(keys[i], i);
      } else {
        Train(step, gradients.data() + i * rules_.dim, &row->second);
      }
    }
    for (size_t number = 0; number < shards_.size(); ++number) {
      std::sort(missing[number].begin(), missing[number].end());
      MakeRoom(step, static_cast<int64_t>(missing[number].size()), &shards_[number]);
      for (const auto& [key, place] : missing[number]) {
        if (rules_.shard_rows_max && Size(shards_[number]) >= *rules_.shard_rows_max) continue;
        Row row = {0, 0, std::vector<float>(rules_.dim)};
        Train(step, gradients.data() + place * rules_.dim, &row);
        shards_[number][key] = row;
      }
    }
    Sweep(step);
  }

  const Row* Find(uint64_t key) const {
    const Shard& shard = shards_[VirtualShard(key, rules_.virtual_shards)];
    const auto row = shard.find(key);
    return row == shard.end() ? nullptr : &row->second;
  }
  int64_t num_rows() const {
    int64_t rows = 0;
    for (const Shard& shard : shards_) rows += Size(shard);
    return rows;
  }
  // Ascending.
  std::vector<uint64_t> keys() const {
    std::vector<uint64_t> keys;
    for (const Shard& shard : shards_) {
      for (const auto& [key, row] : shard) keys.push_back(key);
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

 private:
  using Shard = std::unordered_map<uint64_t, Row>;

  static int64_t Size(const Shard& shard) { return static_cast<int64_t>(shard.size()); }

  void Train(int64_t step, const float* gradient, Row* row) const {
    for (int c = 0; c < rules_.dim; ++c) row->weights[c] -= rules_.rate * gradient[c];
    row->last_step = step;
    ++row->count;
  }

  void MakeRoom(int64_t step, int64_t wanted, Shard* shard) const {
    const auto when_full = rules_.eviction.when_full();
    if (!rules_.shard_rows_max || when_full == EvictionConfig::REFUSE) return;
    if (Size(*shard) + wanted <= *rules_.shard_rows_max) return;
    std::vector<std::pair<uint64_t, uint64_t>> old;
    for (const auto& [key, row] : *shard) {
      if (row.last_step == step) continue;
      old.emplace_back(when_full == EvictionConfig::LEAST_RECENT ? row.last_step : row.count, key);
    }
    std::sort(old.begin(), old.end());
    const int64_t batch = std::max<int64_t>(*rules_.shard_rows_max / 16, 1);
    for (size_t next = 0; Size(*shard) + wanted > *rules_.shard_rows_max && next < old.size();) {
      for (int64_t i = 0; i < batch && next < old.size(); ++i) shard->erase(old[next++].second);
    }
  }

  void Sweep(int64_t step) {
    const int64_t ttl = rules_.eviction.ttl_steps(), every = rules_.eviction.every_steps();
    if (ttl == 0) return;
    for (int64_t v = step % every; v < rules_.virtual_shards; v += every) {
      std::erase_if(shards_[v], [&](const auto& entry) { return step - entry.second.last_step >= ttl; });
    }
  }

  const Rules rules_;
  std::vector<Shard> shards_;
};

}  // namespace weir
