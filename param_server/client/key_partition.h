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

  // keys: of each table of the call, in its order. ordered: one server, too, gets them by positions, which may be
  // changed.
  void Split(std::span<const std::span<const uint64_t>> keys, bool ordered = false);

  // Whether the one server gets all keys as they are; there are no positions then.
  bool whole() const { return whole_; }

  // How many keys of the call's i-th table go to a server.
  uint32_t count(int server, size_t i) const { return counts_[i * num_servers_ + server]; }
  // Their places within that table's keys, ascending unless they were changed.
  std::span<const uint32_t> positions(int server, size_t i) const {
    const size_t at = i * num_servers_ + server;
    return {positions_.data() + starts_[at], counts_[at]};
  }
  std::span<uint32_t> mutable_positions(int server, size_t i) {
    const size_t at = i * num_servers_ + server;
    return {positions_.data() + starts_[at], counts_[at]};
  }

  // The last n of them do not go to the server at all.
  void DropLast(int server, size_t i, size_t n) { counts_[i * num_servers_ + server] -= static_cast<uint32_t>(n); }
  // They go, but their rows are not asked for.
  void LeaveUnasked(int server, size_t i, size_t n) { unasked_[i * num_servers_ + server] = static_cast<uint32_t>(n); }
  uint32_t unasked(int server, size_t i) const { return unasked_[i * num_servers_ + server]; }
  // How many keys of the i-th table go to a server for their rows: the first of its positions.
  uint32_t asked(int server, size_t i) const { return count(server, i) - unasked(server, i); }

 private:
  const ShardOwners& owners_;
  const int num_servers_;
  bool whole_ = false;
  std::vector<uint16_t> servers_;    // of each key of the table at hand
  std::vector<uint32_t> counts_;     // [tables, servers]
  std::vector<uint32_t> unasked_;    // [tables, servers]
  std::vector<size_t> starts_;       // [tables, servers], into positions_
  std::vector<uint32_t> positions_;  // of all keys of the call
};

}  // namespace weir
