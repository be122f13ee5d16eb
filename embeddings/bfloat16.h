// bfloat16: the upper half of a float32. How weights are read from it and rounded to it; the same bits with every
// instruction set.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace weir {

inline float Bfloat16ToFloat(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }

// Rounds up in magnitude when `random`, uniform in [0, 2^16), and the half that is cut off carry: with the probability
// of that half, so that the mean is `value`. What bfloat16 holds stays as it is, so do NaN and infinities, and a finite
// number stays finite.
inline uint16_t RoundToBfloat16(float value, uint16_t random) {
  constexpr uint32_t kExponent = 0x7f800000;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t carried = bits + random;
  const bool cut = (bits & kExponent) == kExponent || (carried & kExponent) == kExponent;
  const uint32_t upper = (cut ? bits : carried) >> 16;
  // A NaN whose payload is all in the lower half would become an infinity.
  return static_cast<uint16_t>(upper | ((bits & 0x7fffffff) > kExponent ? 0x40 : 0));
}

// The nearest, ties to even; NaN and infinities stay, a finite number stays finite.
inline uint16_t NearestBfloat16(float value) {
  const uint32_t odd = std::bit_cast<uint32_t>(value) >> 16 & 1;
  return RoundToBfloat16(value, static_cast<uint16_t>(0x7fff + odd));
}

// from: n bfloat16, aligned to 2 bytes.
template <typename Count>
inline void LoadBfloat16(const void* from, Count n, float* __restrict to) {
  const uint16_t* __restrict values = static_cast<const uint16_t*>(from);
  for (int i = 0; i < n; ++i) to[i] = Bfloat16ToFloat(values[i]);
}

// to: n bfloat16, aligned to 2 bytes; the nearest of each.
template <typename Count>
inline void StoreBfloat16(const float* __restrict from, Count n, void* to) {
  uint16_t* __restrict values = static_cast<uint16_t*>(to);
  for (int i = 0; i < n; ++i) values[i] = NearestBfloat16(from[i]);
}

}  // namespace weir
