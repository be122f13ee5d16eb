// VirtualShard: the part of a table that a key belongs to, whatever the number of owners.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace weir {

// The virtual shard of a key: the top log2(virtual_shards) bits of Fmix64(key). virtual_shards is a power of two.
inline int VirtualShard(uint64_t key, int virtual_shards) {
  if (virtual_shards == 1) return 0;
  return static_cast<int>(Fmix64(key) >> (64 - __builtin_ctz(static_cast<unsigned>(virtual_shards))));
}

}  // namespace weir
