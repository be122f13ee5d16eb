// Amounts of memory as people write them in a job: "2GiB", "1.5 MiB", "512B".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace weir {

// A number, which may have a fraction, and B, KiB, MiB, GiB or TiB; the bytes, rounded down. InvalidArgument for
// anything else, for less than a byte and for more than 8192 TiB (2^53 bytes, up to which every whole number is exact).
Result<int64_t> ParseMemory(std::string_view text);

// The other way round, in the largest unit that is not above it: whole numbers exact ("2GiB"), others with two digits
// ("1.37GiB"). bytes >= 0.
std::string FormatMemory(int64_t bytes);

}  // namespace weir
