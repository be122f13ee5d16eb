// CRC32 (IEEE 802.3, as zlib and gzip have it): guards the pages of Parquet. By vectors where the processor has them,
// by a table elsewhere; both give the same values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

// The checksum of what `crc` covered followed by `data`; 0 starts. Extend(Extend(0, a), b) == Extend(0, a + b).
uint32_t ExtendCrc32(uint32_t crc, const void* data, size_t size_bytes);

inline uint32_t Crc32(const void* data, size_t size_bytes) { return ExtendCrc32(0, data, size_bytes); }

// The table-driven form, always: the oracle of the fast one.
uint32_t ExtendCrc32Portable(uint32_t crc, const void* data, size_t size_bytes);

}  // namespace weir
