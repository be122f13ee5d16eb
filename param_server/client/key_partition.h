// KeyPartition: which keys of a pull or push go to which server.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "param_server/protocol.h"

namespace weir {

// Which server owns each virtual shard. Immutable.
struct ShardOwners {
  ShardOwners(int num_servers, int virtual_shards);
  int num_servers = 0;
  int shard_shift = 0;            // bits of a mixed key below its virtual shard; 64 with one shard
  std::vector<uint16_t> servers;  // [virtual_shards]
};

// Two passes over the keys, no allocation per key; buffers stay from call to call. One thread.
class KeyPartition {
 public:
  // owners must outlive the partition.
  explicit KeyPartition(const ShardOwners* owners) : owners_(*owners), num_servers_(owners->num_servers) {}

  // keys: of each table of the call, in its order.
  void Split(std::span<const std::span<const uint64_t>> keys);

  // How many keys of the call's i-th table go to a server.
  uint32_t count(int server, size_t i) const { return counts_[i * num_servers_ + server]; }
  // Their places within that table's keys, ascending. Not for one server, which gets all keys as they are.
  std::span<const uint32_t> positions(int server, size_t i) const {
    const size_t at = i * num_servers_ + server;
    return {positions_.data() + starts_[at], counts_[at]};
  }

 private:
  const ShardOwners& owners_;
  const int num_servers_;
  std::vector<uint16_t> servers_;    // of each key of the table at hand
  std::vector<uint32_t> counts_;     // [tables, servers]
  std::vector<size_t> starts_;       // [tables, servers], into positions_
  std::vector<uint32_t> positions_;  // of all keys of the call
};

}  // namespace weir
