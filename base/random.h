// Random draws as pure functions: the same (seed, purpose, step, sample or key) gives the same number on any rank, in
// any order, after any resume. There is no generator state to checkpoint.
#pragma once

#include <cstdint>

namespace weir {

// The 64-bit finaliser of MurmurHash3 (Appleby, 2011): a bijection that spreads every input bit over the output.
constexpr uint64_t Fmix64(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
constexpr uint64_t SplitMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// What a draw is for; two purposes never share numbers. Part of what makes runs repeat: never renumber.
enum class RandomPurpose : uint64_t {
  kRowInit = 1,
  kDenseInit = 2,
  kDropout = 3,
  kRowGroupOrder = 4,
  kRowOrder = 5,
  kAdmission = 6,
  kRounding = 7,
  kSampling = 8,
  kKeepNegative = 9,
  kNegative = 10,
};

// 64 random bits from (seed, purpose, a, b); a and b are a step and a sample, a key and a column, and the like.
constexpr uint64_t RandomBits(uint64_t seed, RandomPurpose purpose, uint64_t a, uint64_t b = 0) {
  uint64_t x = SplitMix64(seed ^ SplitMix64(static_cast<uint64_t>(purpose)));
  x = SplitMix64(x ^ a);
  return SplitMix64(x ^ SplitMix64(b ^ 0x5851f42d4c957f2dULL));
}

// The top 24 bits as a float in [0, 1): every value is exact.
constexpr float UnitFloat(uint64_t bits) { return static_cast<float>(bits >> 40) * 0x1p-24f; }

// The top 53 bits as a double in [0, 1).
constexpr double UnitDouble(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// An index in [0, bound) from 64 random bits (Lemire's multiplication, without the rejection: the bias is below
// bound / 2^64). bound > 0.
constexpr uint64_t BoundedIndex(uint64_t bits, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

}  // namespace weir
