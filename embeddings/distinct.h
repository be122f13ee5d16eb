// DistinctKeys: numbers keys in the order in which they are first seen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// Open addressing at most half full. Clear() only raises the epoch that live slots carry, so a set used for every batch
// is never wiped. Not thread-safe.
class DistinctKeys {
 public:
  DistinctKeys() { Resize(kMinLogCapacity); }

  void Clear();

  // numbers[i]: the number of keys[i] among the distinct keys added since Clear(), 0 for the first. At most 2^31 keys.
  void Add(std::span<const uint64_t> keys, int32_t* numbers);

  // By number; valid until the next call.
  std::span<const uint64_t> keys() const { return keys_; }
  int64_t size() const { return static_cast<int64_t>(keys_.size()); }

 private:
  struct Slot {
    uint64_t key;
    uint32_t epoch;  // live if the set's
    int32_t number;
  };
  static constexpr int kMinLogCapacity = 8;

  // The product's top bits mix all of the key's: keys that were hashed already and plain counters both spread.
  size_t Home(uint64_t key) const { return ((key ^ key >> 32) * 0x9e3779b97f4a7c15ULL) >> shift_; }
  void Resize(int log_capacity);

  std::vector<Slot> slots_;
  std::vector<uint64_t> keys_;
  int shift_ = 0;  // 64 - log2 of the capacity
  size_t mask_ = 0;
  uint32_t epoch_ = 1;
};

}  // namespace weir
