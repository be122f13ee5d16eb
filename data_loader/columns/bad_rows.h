// Rows with a value that cannot be used, found while columns are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

struct BadRow {
  int64_t row = 0;  // in what was extracted
  std::string column;
  std::string reason;  // "is NaN", "is no number", ...
  std::string value;   // as text, for the message
};

}  // namespace weir
