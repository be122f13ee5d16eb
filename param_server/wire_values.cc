#include "param_server/wire_values.h"

#include <bit>
#include <cstring>

#include "embeddings/bfloat16.h"

namespace weir {
namespace {

struct Bfloat16Value {
  static inline __attribute__((always_inline)) uint16_t Encode(float value) { return NearestBfloat16(value); }
  static inline __attribute__((always_inline)) float Decode(uint16_t bits) { return Bfloat16ToFloat(bits); }
};

// By bits: with selects instead of branches the loops below become vector code.
struct Float16Value {
  // Rounds to the nearest, ties to even, by adding half of what is cut off, or, where the result has no leading one,
  // by adding a float whose last bit is worth float16's least value (F. Giesen, "Float->half variants", 2012).
  static inline __attribute__((always_inline)) uint16_t Encode(float value) {
    constexpr uint32_t kInfinity = 0x7f800000, kMax = 0x477fe000 /* 65504 */, kNormalMin = 113u << 23 /* 2^-14 */;
    constexpr uint32_t kLastBits = 126u << 23;  // 0.5: its last bit is worth 2^-24
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    const uint32_t bounded = magnitude > kMax ? kMax : magnitude;
    const uint32_t normal = (bounded - (112u << 23) + 0xfff + (bounded >> 13 & 1)) >> 13;
    const uint32_t small =
        std::bit_cast<uint32_t>(std::bit_cast<float>(bounded) + std::bit_cast<float>(kLastBits)) - kLastBits;
    const uint32_t finite = bounded < kNormalMin ? small : normal;
    const uint32_t special = magnitude > kInfinity ? 0x7e00 : 0x7c00;
    return static_cast<uint16_t>(sign | (magnitude >= kInfinity ? special : finite));
  }
  static inline __attribute__((always_inline)) float Decode(uint16_t bits) {
    constexpr float kScale = 0x1p112f;  // between the two biases; a product with it is exact
    const uint32_t magnitude = (bits & 0x7fffu) << 13;
    const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * kScale);
    const bool special = (bits & 0x7c00) == 0x7c00;
    return std::bit_cast<float>((bits & 0x8000u) << 16 | (special ? magnitude | 0x7f800000 : finite));
  }
};

template <typename Value>
inline __attribute__((always_inline)) void EncodeAll(const float* __restrict from, size_t n, uint16_t* __restrict to) {
  for (size_t i = 0; i < n; ++i) to[i] = Value::Encode(from[i]);
}

template <typename Value>
inline __attribute__((always_inline)) void DecodeAll(const uint16_t* __restrict from, size_t n, float* __restrict to) {
  for (size_t i = 0; i < n; ++i) to[i] = Value::Decode(from[i]);
}

template <typename Value>
__attribute__((target("avx2"))) void EncodeAvx2(const float* from, size_t n, uint16_t* to) {
  EncodeAll<Value>(from, n, to);
}

template <typename Value>
__attribute__((target("avx2"))) void DecodeAvx2(const uint16_t* from, size_t n, float* to) {
  DecodeAll<Value>(from, n, to);
}

template <typename Value>
void Encode(const float* from, size_t n, uint8_t* to, Isa isa) {
  auto* values = reinterpret_cast<uint16_t*>(to);
  isa != Isa::kScalar ? EncodeAvx2<Value>(from, n, values) : EncodeAll<Value>(from, n, values);
}

template <typename Value>
void Decode(const uint8_t* from, size_t n, float* to, Isa isa) {
  const auto* values = reinterpret_cast<const uint16_t*>(from);
  isa != Isa::kScalar ? DecodeAvx2<Value>(values, n, to) : DecodeAll<Value>(values, n, to);
}

}  // namespace

void EncodeValues(WireConfig::Type type, const float* from, size_t n, uint8_t* to, Isa isa) {
  switch (type) {
    case WireConfig::FLOAT32:
      if (n > 0) std::memcpy(to, from, n * sizeof(float));
      return;
    case WireConfig::BFLOAT16:
      return Encode<Bfloat16Value>(from, n, to, isa);
    case WireConfig::FLOAT16:
      return Encode<Float16Value>(from, n, to, isa);
  }
}

void DecodeValues(WireConfig::Type type, const uint8_t* from, size_t n, float* to, Isa isa) {
  switch (type) {
    case WireConfig::FLOAT32:
      if (n > 0) std::memcpy(to, from, n * sizeof(float));
      return;
    case WireConfig::BFLOAT16:
      return Decode<Bfloat16Value>(from, n, to, isa);
    case WireConfig::FLOAT16:
      return Decode<Float16Value>(from, n, to, isa);
  }
}

void RoundValues(WireConfig::Type type, size_t n, float* values) {
  if (type == WireConfig::FLOAT32) return;
  constexpr size_t kChunk = 256;
  alignas(4) uint8_t travelled[kChunk * 2];
  for (size_t i = 0; i < n; i += kChunk) {
    const size_t size = n - i < kChunk ? n - i : kChunk;
    EncodeValues(type, values + i, size, travelled);
    DecodeValues(type, travelled, size, values + i);
  }
}

}  // namespace weir
