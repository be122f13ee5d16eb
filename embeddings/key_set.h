// KeySet: a fixed set of keys, asked one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// Open addressing at most half full: 16 to 32 bytes a key, a look-up reads one cache line, seldom two. Immutable;
// thread-safe.
class KeySet {
 public:
  // A key may occur more than once.
  explicit KeySet(std::span<const uint64_t> keys);

  bool Contains(uint64_t key) const;
  int64_t size() const { return size_; }
  int64_t bytes() const { return static_cast<int64_t>(slots_.size() * sizeof(uint64_t)); }
  // Of its keys, whatever their order; for noticing that two sets differ.
  uint64_t digest() const { return digest_; }

 private:
  // Key 0 stands for an empty slot, so whether it is in the set is kept beside them.
  std::vector<uint64_t> slots_;
  size_t mask_ = 0;
  bool has_zero_ = false;
  int64_t size_ = 0;
  uint64_t digest_ = 0;
};

}  // namespace weir
