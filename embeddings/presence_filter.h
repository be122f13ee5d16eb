// PresenceFilter: says of most keys that were never added that they were not, for one cache line of memory traffic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace weir {

// A blocked Bloom filter (Putze, Sanders and Singler, 2007): the bits of a key lie in one line of 512. With 11 bits a
// key 2 of 100 foreign keys seem present, with 5 bits 15; never a key that was added seems absent. Fixed size. One
// thread.
class PresenceFilter {
 public:
  // At least one line.
  explicit PresenceFilter(int64_t bytes_max)
      : lines_(bytes_max >= static_cast<int64_t>(2 * sizeof(Line)) ? bytes_max / sizeof(Line) : 1) {}

  int64_t bytes() const { return static_cast<int64_t>(lines_.size() * sizeof(Line)); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&lines_[LineOf(hash)]); }

  // `hash` must be uniform; keys of different tables need different hashes (see HashOf).
  void Add(uint64_t hash) {
    Line& line = lines_[LineOf(hash)];
    uint64_t bits = SplitMix64(hash);
    for (int i = 0; i < kProbes; ++i, bits >>= 9) line.words[bits >> 6 & 7] |= uint64_t{1} << (bits & 63);
  }
  bool MayContain(uint64_t hash) const {
    const Line& line = lines_[LineOf(hash)];
    uint64_t bits = SplitMix64(hash);
    uint64_t all = 1;
    for (int i = 0; i < kProbes; ++i, bits >>= 9) all &= line.words[bits >> 6 & 7] >> (bits & 63);
    return all & 1;
  }

  static uint64_t HashOf(int table, uint64_t key) {
    return SplitMix64(key ^ SplitMix64(static_cast<uint64_t>(table) + 1));
  }

 private:
  static constexpr int kProbes = 6;
  struct alignas(64) Line {
    uint64_t words[8] = {};
  };

  size_t LineOf(uint64_t hash) const { return BoundedIndex(hash, lines_.size()); }

  std::vector<Line> lines_;
};

}  // namespace weir
