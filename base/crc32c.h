// CRC32C (Castagnoli, RFC 3720 appendix B.4): guards frames, manifests, event files and TFRecords. Hardware
// instructions where the processor has them, tables elsewhere; both give the same values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

// The checksum of what `crc` covered followed by `data`; 0 starts. Extend(Extend(0, a), b) == Extend(0, a + b).
uint32_t ExtendCrc32c(uint32_t crc, const void* data, size_t size_bytes);

inline uint32_t Crc32c(const void* data, size_t size_bytes) { return ExtendCrc32c(0, data, size_bytes); }

// The checksum as TFRecord files hold it: masked, since they may hold checksummed data themselves.
inline uint32_t MaskedCrc32c(std::string_view data) {
  const uint32_t crc = Crc32c(data.data(), data.size());
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// The table-driven form, always: the oracle of the fast one.
uint32_t ExtendCrc32cPortable(uint32_t crc, const void* data, size_t size_bytes);

}  // namespace weir
