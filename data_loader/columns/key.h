// Key: the rule that turns a value of the lake into the 64-bit key of a row. Training and serving share it, every
// checkpoint stores its version, and its test vectors are frozen.
//
//   key = XXH3_64(bytes, seed = XXH3_64(hash space))
//
// Integers are hashed as 8 little-endian bytes, signed ones sign-extended; strings as their bytes. `identity` takes an
// integer as the key. `buckets` folds: key mod buckets. All 64-bit values are legal keys.
#pragma once

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/isa.h"

namespace weir {

static_assert(std::endian::native == std::endian::little, "keys are hashes of little-endian bytes");

// Changes whenever any value gets another key.
constexpr int kKeyRuleVersion = 1;

// Immutable; thread-safe; calls cost a few ns and allocate nothing.
class KeyRule {
 public:
  // buckets: 0 leaves the vocabulary unbounded.
  KeyRule(std::string_view hash_space, uint64_t buckets, bool identity)
      : seed_(XXH3_64bits(hash_space.data(), hash_space.size())), buckets_(buckets), identity_(identity) {}

  // `bits`: the integer, sign-extended when it is signed.
  uint64_t OfInteger(uint64_t bits) const {
    return Fold(identity_ ? bits : XXH3_64bits_withSeed(&bits, sizeof(bits), seed_));
  }
  // n of them; keys may be bits.
  void OfIntegers(const uint64_t* bits, size_t n, uint64_t* keys, Isa isa = BestIsa()) const;
  // identity is for integers only.
  uint64_t OfString(std::string_view bytes) const {
    return Fold(XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed_));
  }

 private:
  uint64_t Fold(uint64_t key) const { return buckets_ == 0 ? key : key % buckets_; }

  uint64_t seed_;
  uint64_t buckets_;
  bool identity_;
};

}  // namespace weir
