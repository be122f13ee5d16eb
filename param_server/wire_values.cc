#include "param_server/wire_values.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "embeddings/bfloat16.h"

namespace weir {
namespace {

struct Bfloat16Value {
  static inline __attribute__((always_inline)) uint16_t Encode(float value) { return NearestBfloat16(value); }
  static inline __attribute__((always_inline)) float Decode(uint16_t bits) { return Bfloat16ToFloat(bits); }
};

struct Float16Value {
  static constexpr float kMax = 65504;
  static inline __attribute__((always_inline)) uint16_t Encode(float value) {
    const float most = value > kMax ? kMax : value;
    const float bounded = most < -kMax ? -kMax : most;
    const bool finite = std::fabs(value) <= std::numeric_limits<float>::max();
    // A library's conversion and the processor's keep different bits of a NaN.
    if (value != value) return 0x7e00;
    return std::bit_cast<uint16_t>(static_cast<_Float16>(finite ? bounded : value));
  }
  static inline __attribute__((always_inline)) float Decode(uint16_t bits) {
    return static_cast<float>(std::bit_cast<_Float16>(bits));
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
__attribute__((target("avx2,f16c"))) void EncodeAvx2(const float* from, size_t n, uint16_t* to) {
  EncodeAll<Value>(from, n, to);
}

template <typename Value>
__attribute__((target("avx2,f16c"))) void DecodeAvx2(const uint16_t* from, size_t n, float* to) {
  DecodeAll<Value>(from, n, to);
}

bool UsesVectors(Isa isa) { return isa != Isa::kScalar && __builtin_cpu_supports("f16c"); }

template <typename Value>
void Encode(const float* from, size_t n, uint8_t* to, Isa isa) {
  auto* values = reinterpret_cast<uint16_t*>(to);
  UsesVectors(isa) ? EncodeAvx2<Value>(from, n, values) : EncodeAll<Value>(from, n, values);
}

template <typename Value>
void Decode(const uint8_t* from, size_t n, float* to, Isa isa) {
  const auto* values = reinterpret_cast<const uint16_t*>(from);
  UsesVectors(isa) ? DecodeAvx2<Value>(values, n, to) : DecodeAll<Value>(values, n, to);
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
