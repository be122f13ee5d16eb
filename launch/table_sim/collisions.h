// Collisions: how many distinct keys of a table share a bucket with another one when they are folded.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "embeddings/distinct.h"

namespace weir {

// The distinct unfolded keys of one table, by the buckets that its features fold them into. A key that two features
// fold alike counts once; other features of the table that do not fold take no part. 72 to 144 bytes a distinct key.
// One thread.
class Collisions {
 public:
  // buckets: 0 is not counted.
  void Add(std::span<const uint64_t> keys, uint64_t buckets);

  struct Count {
    int64_t distinct_keys = 0;   // that are folded
    int64_t colliding_keys = 0;  // of them, in a bucket with another one
  };
  // Sorts the buckets of all keys.
  Count Total() const;

 private:
  std::map<uint64_t, DistinctKeys> keys_;  // by buckets
  std::vector<int32_t> numbers_;
};

}  // namespace weir
