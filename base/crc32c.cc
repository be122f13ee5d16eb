#include "base/crc32c.h"

#include <array>
#include <cstring>

#include "base/crc_folding.h"

namespace weir {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected 0x1edc6f41

constexpr std::array<uint32_t, 256> kByteTable = MakeCrcTable(kPolynomial);

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

constexpr size_t kVectorsMin = 512;  // bytes, from which folding is faster

__attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.2"))) uint32_t ExtendVectors(uint32_t crc,
                                                                                            const uint8_t* p,
                                                                                            size_t size) {
  const FoldedCrc folded = FoldCrc<kPolynomial>(crc, p, size);
  uint64_t c = _mm_crc32_u64(0, folded.sum[0]);
  c = _mm_crc32_u64(c, folded.sum[1]);
  return ExtendHardware(~static_cast<uint32_t>(c), p + folded.bytes, size - folded.bytes);
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
  static const bool has_vectors = CanFoldCrc();
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  const auto* bytes = static_cast<const uint8_t*>(data);
  if (has_vectors && size_bytes >= kVectorsMin) return ExtendVectors(crc, bytes, size_bytes);
  if (has_instruction) return ExtendHardware(crc, bytes, size_bytes);
#endif
  return ExtendCrc32cPortable(crc, data, size_bytes);
}

}  // namespace weir
