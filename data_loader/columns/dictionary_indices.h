// Indices into a dictionary, which may come from a file.
#pragma once

#include <cstdint>
#include <span>

namespace weir {

// Whether all of them lie in [0, size). size < 2^31.
inline bool AllBelow(int64_t size, std::span<const int32_t> indices) {
  if (size == 0) return indices.empty();
  const auto last = static_cast<int32_t>(size - 1);
  // The sign bit is set by any index below 0 and by any above `last`.
  int32_t sign = 0;
  for (const int32_t index : indices) sign |= index | static_cast<int32_t>(static_cast<uint32_t>(last) - index);
  return sign >= 0;
}

}  // namespace weir
