// DistinctKeys: numbers keys in the order in which they are first seen.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace weir {

// Open addressing, at most an eighth full, so that nearly all keys that are there stand in the slot they hash to. A
// group of keys is first compared with those slots, without a branch on the outcome, which no processor could foretell;
// what is left is mostly new, and inserted one by one. Clear() only raises the epoch that live slots carry, so a set
// used for every batch is never wiped. Costs about 2.5 ns a key in the caches and 72 to 144 bytes per key of the
// largest batch's distinct ones. Not thread-safe.
class DistinctKeys {
 public:
  DistinctKeys();

  // Forgets all keys. expected: how many distinct ones are about to come, say as many as last time. Slots for them are
  // taken into use at once; where more come, or none are expected, the slots are rehashed on the way.
  void Clear(int64_t expected = 0);

  // numbers[i]: the number of keys[i] among the distinct keys added since Clear(), 0 for the first. At most 2^31 keys.
  void Add(std::span<const uint64_t> keys, int32_t* numbers);

  // By number; valid until the next call.
  std::span<const uint64_t> keys() const { return {keys_.get(), static_cast<size_t>(size_)}; }
  int64_t size() const { return size_; }

 private:
  static constexpr int kMinLogCapacity = 6;
  static constexpr int64_t kSlotsPerKey = 8;

  // The product's top bits mix all of the key's: keys that were hashed already and plain counters both spread.
  static size_t Home(uint64_t key, int shift) { return ((key ^ key >> 32) * 0x9e3779b97f4a7c15ULL) >> shift; }
  static int LogCapacityFor(int64_t keys);
  // Makes all slots empty.
  void NextEpoch();
  // Makes room for `keys` keys in all.
  void Reserve(int64_t keys);
  // Adds keys that there is room for.
  void AddReserved(std::span<const uint64_t> keys, int32_t* numbers);
  // Numbers the keys that stand in the slot they hash to; the indices of all others go to `open`. Returns how many.
  size_t FindAtHome(std::span<const uint64_t> keys, int32_t* numbers, uint32_t* open) const;
  int32_t FindOrInsert(uint64_t key);

  // epoch << 32 | number of the key that stands there; live if the epoch is the set's. 2^log_allocated_ of them, of
  // which the first 2^log_capacity_ are in use.
  std::unique_ptr<uint64_t[]> slots_;
  std::unique_ptr<uint64_t[]> keys_;  // [allocated slots / kSlotsPerKey]
  int log_capacity_ = 0;
  int log_allocated_ = 0;
  int64_t size_ = 0;
  uint32_t epoch_ = 1;
};

}  // namespace weir
