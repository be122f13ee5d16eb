// The rule that turns a combination of values into one: the hash of their hashes.
#pragma once

#include <cstdint>
#include <span>

#include "data_loader/columns/key.h"

namespace weir {

// Each value's hash is its key (key.h) in the hash space "", without folding; hashes: of the values, in the order of
// the columns. XXH3_64 of their little-endian bytes.
inline uint64_t CrossHash(std::span<const uint64_t> hashes) { return XXH3_64bits(hashes.data(), hashes.size_bytes()); }

}  // namespace weir
