// Decimal text as numbers, whole: nothing may stand before or after.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

// True when all of the text is a number that a double can come near to ("+1.5e3", "nan" and "inf" are).
bool ParseNumber(std::string_view text, double* value);
// An integer from -2^63 to 2^64-1, as its 64 bits.
bool ParseInteger(std::string_view text, uint64_t* bits);

}  // namespace weir
