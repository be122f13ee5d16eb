#include "param_server/client/key_partition.h"

#include "base/random.h"

namespace weir {

ShardOwners::ShardOwners(int num_servers, int virtual_shards)
    : num_servers(num_servers),
      shard_shift(64 - __builtin_ctz(static_cast<unsigned>(virtual_shards))),
      servers(virtual_shards) {
  for (int server = 0; server < num_servers; ++server) {
    const int end = ShardBegin(server + 1, num_servers, virtual_shards);
    for (int shard = ShardBegin(server, num_servers, virtual_shards); shard < end; ++shard) {
      servers[shard] = static_cast<uint16_t>(server);
    }
  }
}

void KeyPartition::Split(std::span<const std::span<const uint64_t>> keys, bool ordered) {
  counts_.assign(keys.size() * num_servers_, 0);
  unasked_.assign(keys.size() * num_servers_, 0);
  whole_ = num_servers_ == 1 && !ordered;
  if (whole_) {
    for (size_t t = 0; t < keys.size(); ++t) counts_[t] = static_cast<uint32_t>(keys[t].size());
    return;
  }
  starts_.assign(keys.size() * num_servers_, 0);
  size_t total = 0;
  for (const auto table : keys) total += table.size();
  positions_.resize(total);
  size_t start = 0;
  std::vector<size_t> cursors(num_servers_);
  for (size_t t = 0; t < keys.size(); ++t) {
    const std::span<const uint64_t> table = keys[t];
    uint32_t* counts = counts_.data() + t * num_servers_;
    servers_.resize(table.size());
    for (size_t i = 0; i < table.size(); ++i) {
      const size_t shard = owners_.shard_shift == 64 ? 0 : Fmix64(table[i]) >> owners_.shard_shift;
      servers_[i] = owners_.servers[shard];
      ++counts[servers_[i]];
    }
    for (int server = 0; server < num_servers_; ++server) {
      cursors[server] = starts_[t * num_servers_ + server] = start;
      start += counts[server];
    }
    for (size_t i = 0; i < table.size(); ++i) positions_[cursors[servers_[i]]++] = static_cast<uint32_t>(i);
  }
}

}  // namespace weir
