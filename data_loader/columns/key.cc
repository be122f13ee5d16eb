#include "data_loader/columns/key.h"

#include <algorithm>
#include <bit>

namespace weir {
namespace {

// XXH3_64 of 8 bytes (Collet's specification of xxHash, "XXH3, inputs of 4 to 8 bytes"), in a form that vectorises:
// `flip` is what the seed and the secret come to.
struct IntegerHash {
  explicit IntegerHash(uint64_t seed)
      : flip(0xc73ab174c5ecd5a2ULL -
             (seed ^ static_cast<uint64_t>(__builtin_bswap32(static_cast<uint32_t>(seed))) << 32)) {}

  uint64_t operator()(uint64_t bits) const {
    constexpr uint64_t kPrime = 0x9fb21c651e98df25ULL;
    uint64_t h = std::rotl(bits, 32) ^ flip;
    h ^= std::rotl(h, 49) ^ std::rotl(h, 24);
    h *= kPrime;
    h ^= (h >> 35) + sizeof(bits);
    h *= kPrime;
    return h ^ h >> 28;
  }

  uint64_t flip;
};

inline void HashAll(IntegerHash hash, const uint64_t* bits, size_t n, uint64_t* keys) {
  for (size_t i = 0; i < n; ++i) keys[i] = hash(bits[i]);
}

WEIR_TARGET_AVX2 void HashAllAvx2(IntegerHash hash, const uint64_t* bits, size_t n, uint64_t* keys) {
  HashAll(hash, bits, n, keys);
}
WEIR_TARGET_AVX512 void HashAllAvx512(IntegerHash hash, const uint64_t* bits, size_t n, uint64_t* keys) {
  HashAll(hash, bits, n, keys);
}

void HashAll(IntegerHash hash, const uint64_t* bits, size_t n, uint64_t* keys, Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return HashAllAvx512(hash, bits, n, keys);
    case Isa::kAvx2:
      return HashAllAvx2(hash, bits, n, keys);
    case Isa::kScalar:
      return HashAll(hash, bits, n, keys);
  }
}

}  // namespace

void KeyRule::OfIntegers(const uint64_t* bits, size_t n, uint64_t* keys, Isa isa) const {
  if (!identity_) {
    HashAll(IntegerHash(seed_), bits, n, keys, isa);
  } else if (keys != bits) {
    std::copy_n(bits, n, keys);
  }
  if (buckets_ == 0) return;
  for (size_t i = 0; i < n; ++i) keys[i] = Fold(keys[i]);
}

}  // namespace weir
