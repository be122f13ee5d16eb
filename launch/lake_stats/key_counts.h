// KeyCounts: how often each key of a few thousand comes, so that sketches see a key once with its count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace weir {

// One thread. Open addressing over 32 KiB, which stay in the fastest cache.
class KeyCounts {
 public:
  static constexpr int64_t kValuesMax = 8192;

  struct Entry {
    uint64_t key = 0;
    int64_t count = 0;
    int64_t first = 0;  // the index with which it came first
  };

  KeyCounts() : slots_(kSlots, 0) {}

  // Forgets all. At most kValuesMax calls of Add may follow.
  void Clear() {
    slots_.assign(kSlots, 0);
    entries_.clear();
  }
  void Add(uint64_t key, int64_t index) {
    size_t at = SplitMix64(key) % kSlots;
    while (slots_[at] != 0 && entries_[slots_[at] - 1].key != key) at = (at + 1) % kSlots;
    if (slots_[at] == 0) {
      entries_.push_back({key, 0, index});
      slots_[at] = static_cast<uint16_t>(entries_.size());
    }
    ++entries_[slots_[at] - 1].count;
  }
  // In order of their first index.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  static constexpr size_t kSlots = 2 * kValuesMax;

  std::vector<uint16_t> slots_;  // entry's index plus 1; 0: free
  std::vector<Entry> entries_;
};

}  // namespace weir
