// What the 32-bit checksums of bytes with their bits reflected have in common: CRC32 and CRC32C differ in the
// polynomial.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weir {

// What each value of a byte adds; `polynomial` reflected.
constexpr std::array<uint32_t, 256> MakeCrcTable(uint32_t polynomial) {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? polynomial : 0);
    table[byte] = crc;
  }
  return table;
}

#if defined(__x86_64__)

// x^n modulo the polynomial as a factor of a carry-less product of numbers with their bits reflected, which comes out
// one bit short.
constexpr uint64_t PowerOfX(uint32_t polynomial, int n) {
  uint32_t value = 0x80000000;
  for (int i = 0; i < n; ++i) value = (value >> 1) ^ ((value & 1) ? polynomial : 0);
  return uint64_t{value} << 1;
}

// What moves a 128-bit sum past `bits` zero bits: factors of its halves.
struct FoldBy {
  constexpr FoldBy(uint32_t polynomial, int bits)
      : low(PowerOfX(polynomial, bits + 32)), high(PowerOfX(polynomial, bits - 32)) {}
  uint64_t low;
  uint64_t high;
};

#define WEIR_CRC_VECTORS __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.2")))

WEIR_CRC_VECTORS inline __m512i Fold(__m512i sum, __m512i by, __m512i next) {
  constexpr int kXor3 = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(sum, by, 0x00), _mm512_clmulepi64_epi128(sum, by, 0x11),
                                   next, kXor3);
}

WEIR_CRC_VECTORS inline __m512i InEachLane(const FoldBy& by) {
  const auto low = static_cast<int64_t>(by.low), high = static_cast<int64_t>(by.high);
  return _mm512_set_epi64(high, low, high, low, high, low, high, low);
}

// The checksum of `sum` as 16 bytes, begun without a checksum before, is that of the `bytes` bytes folded.
struct FoldedCrc {
  uint64_t sum[2];
  size_t bytes;
};

// Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009), four sums of 512 bits
// side by side. size >= 256. Only where CanFoldCrc().
template <uint32_t kPolynomial>
WEIR_CRC_VECTORS inline FoldedCrc FoldCrc(uint32_t crc, const uint8_t* p, size_t size) {
  static constexpr FoldBy k2048(kPolynomial, 2048), k512(kPolynomial, 512), k128(kPolynomial, 128);
  constexpr size_t kVector = sizeof(__m512i);
  const uint8_t* const begin = p;
  __m512i sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = _mm512_loadu_si512(p + i * kVector);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  const __m512i by2048 = InEachLane(k2048);
  for (p += sizeof(sums), size -= sizeof(sums); size >= sizeof(sums); p += sizeof(sums), size -= sizeof(sums)) {
    for (int i = 0; i < 4; ++i) sums[i] = Fold(sums[i], by2048, _mm512_loadu_si512(p + i * kVector));
  }
  const __m512i by512 = InEachLane(k512);
  for (int i = 1; i < 4; ++i) sums[i] = Fold(sums[i - 1], by512, sums[i]);
  __m128i lanes[4];
  _mm512_storeu_si512(lanes, sums[3]);
  const __m128i by128 = _mm_set_epi64x(static_cast<int64_t>(k128.high), static_cast<int64_t>(k128.low));
  for (int i = 1; i < 4; ++i) {
    const __m128i folded =
        _mm_xor_si128(_mm_clmulepi64_si128(lanes[i - 1], by128, 0x00), _mm_clmulepi64_si128(lanes[i - 1], by128, 0x11));
    lanes[i] = _mm_xor_si128(folded, lanes[i]);
  }
  FoldedCrc folded;
  folded.bytes = static_cast<size_t>(p - begin);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(folded.sum), lanes[3]);
  return folded;
}
#undef WEIR_CRC_VECTORS

inline bool CanFoldCrc() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("vpclmulqdq");
}

#endif

}  // namespace weir
