#include "base/crc32.h"

#include <array>

#include "base/crc_folding.h"

namespace weir {
namespace {

constexpr uint32_t kPolynomial = 0xedb88320;  // reflected 0x04c11db7

// kTables[k][byte]: what a byte adds that is followed by k zero bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  tables[0] = MakeCrcTable(kPolynomial);
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xff];
    }
  }
  return tables;
}

constexpr std::array<std::array<uint32_t, 256>, 8> kTables = MakeTables();

constexpr size_t kFoldedMin = 512;  // bytes, from which folding is faster

}  // namespace

uint32_t ExtendCrc32Portable(uint32_t crc, const void* data, size_t size_bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; size_bytes >= 8; p += 8, size_bytes -= 8) {
    uint32_t next = 0;
    for (int i = 0; i < 4; ++i) next ^= kTables[7 - i][(crc >> (8 * i) ^ p[i]) & 0xff];
    for (int i = 4; i < 8; ++i) next ^= kTables[7 - i][p[i]];
    crc = next;
  }
  for (; size_bytes > 0; ++p, --size_bytes) crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xff];
  return ~crc;
}

uint32_t ExtendCrc32(uint32_t crc, const void* data, size_t size_bytes) {
#if defined(__x86_64__)
  static const bool can_fold = CanFoldCrc();
  if (can_fold && size_bytes >= kFoldedMin) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    const FoldedCrc folded = FoldCrc<kPolynomial>(crc, bytes, size_bytes);
    // ~0: begun without a checksum before.
    crc = ExtendCrc32Portable(~uint32_t{0}, folded.sum, sizeof(folded.sum));
    return ExtendCrc32Portable(crc, bytes + folded.bytes, size_bytes - folded.bytes);
  }
#endif
  return ExtendCrc32Portable(crc, data, size_bytes);
}

}  // namespace weir
