#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weir {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected 0x1edc6f41

constexpr std::array<uint32_t, 256> MakeByteTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kByteTable = MakeByteTable();

#if defined(__x86_64__)

// The crc instruction takes 3 cycles and starts each cycle, so three independent runs of kLane bytes go side by side.
// Their checksums are then joined: shifting a checksum past kLane zero bytes is linear in its 32 bits, so four tables
// of 256 entries hold that shift.
constexpr size_t kLane = 1024;

using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

ShiftTable MakeShiftTable() {
  std::array<uint32_t, 32> shifted{};
  for (int bit = 0; bit < 32; ++bit) {
    uint32_t crc = 1u << bit;
    for (size_t i = 0; i < kLane; ++i) crc = (crc >> 8) ^ kByteTable[crc & 0xff];
    shifted[bit] = crc;
  }
  ShiftTable table{};
  for (int byte = 0; byte < 4; ++byte) {
    for (uint32_t value = 0; value < 256; ++value) {
      for (int bit = 0; bit < 8; ++bit) {
        if (value >> bit & 1) table[byte][value] ^= shifted[8 * byte + bit];
      }
    }
  }
  return table;
}

uint32_t ShiftPastLane(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^ table[3][crc >> 24];
}

uint64_t Load64(const uint8_t* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, const uint8_t* p, size_t size) {
  static const ShiftTable shift = MakeShiftTable();
  uint64_t c = ~crc;
  while (size >= 3 * kLane) {
    uint64_t c1 = 0, c2 = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      c = _mm_crc32_u64(c, Load64(p + i));
      c1 = _mm_crc32_u64(c1, Load64(p + kLane + i));
      c2 = _mm_crc32_u64(c2, Load64(p + 2 * kLane + i));
    }
    c = ShiftPastLane(shift, static_cast<uint32_t>(c)) ^ c1;
    c = ShiftPastLane(shift, static_cast<uint32_t>(c)) ^ c2;
    p += 3 * kLane;
    size -= 3 * kLane;
  }
  for (; size >= 8; p += 8, size -= 8) c = _mm_crc32_u64(c, Load64(p));
  for (; size > 0; ++p, --size) c = _mm_crc32_u8(static_cast<uint32_t>(c), *p);
  return ~static_cast<uint32_t>(c);
}

// x^n modulo the polynomial as a factor of a carry-less product of numbers with their bits reflected, which comes out
// one bit short.
constexpr uint64_t PowerOfX(int n) {
  uint32_t value = 0x80000000;
  for (int i = 0; i < n; ++i) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
  return uint64_t{value} << 1;
}

// What moves a 128-bit sum past `bits` zero bits: factors of its halves.
struct FoldBy {
  constexpr explicit FoldBy(int bits) : low(PowerOfX(bits + 32)), high(PowerOfX(bits - 32)) {}
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

constexpr size_t kVectorsMin = 512;  // bytes, from which folding is faster

// Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009), four sums of 512 bits
// side by side. size >= 256.
WEIR_CRC_VECTORS uint32_t ExtendVectors(uint32_t crc, const uint8_t* p, size_t size) {
  static constexpr FoldBy k2048(2048), k512(512), k128(128);
  constexpr size_t kVector = sizeof(__m512i);
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
  // The checksum of what is left of it is that of the whole.
  uint64_t c = _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(lanes[3])));
  c = _mm_crc32_u64(c, static_cast<uint64_t>(_mm_extract_epi64(lanes[3], 1)));
  return ExtendHardware(~static_cast<uint32_t>(c), p, size);
}
#undef WEIR_CRC_VECTORS

bool HasVectors() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("vpclmulqdq");
}

#endif

}  // namespace

uint32_t ExtendCrc32cPortable(uint32_t crc, const void* data, size_t size_bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (size_t i = 0; i < size_bytes; ++i) crc = (crc >> 8) ^ kByteTable[(crc ^ p[i]) & 0xff];
  return ~crc;
}

uint32_t ExtendCrc32c(uint32_t crc, const void* data, size_t size_bytes) {
#if defined(__x86_64__)
  static const bool has_vectors = HasVectors();
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  const auto* bytes = static_cast<const uint8_t*>(data);
  if (has_vectors && size_bytes >= kVectorsMin) return ExtendVectors(crc, bytes, size_bytes);
  if (has_instruction) return ExtendHardware(crc, bytes, size_bytes);
#endif
  return ExtendCrc32cPortable(crc, data, size_bytes);
}

}  // namespace weir
