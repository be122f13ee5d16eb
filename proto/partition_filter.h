// Filters of partitions as people write them in a job: "dt >= 2026-11-01", "country in DE, FR".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace weir {

struct PartitionFilter {
  enum class Operator { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kIn };

  std::string text;  // as it was written
  std::string column;
  Operator op = Operator::kEqual;
  std::vector<std::string> values;  // one, but any number from 1 on for kIn

  // Whether a partition of this value is read. Two numbers are compared as numbers ("03" is 3), all else as text, byte
  // by byte. A partition without a value (nullopt) passes no filter, != included.
  bool Matches(const std::optional<std::string>& value) const;
};

// COLUMN OPERATOR VALUE, with or without spaces; "in" has several values with commas or spaces between, in brackets or
// not. Values in single or double quotes are taken as they are. InvalidArgument says what was expected.
Result<PartitionFilter> ParsePartitionFilter(std::string_view text);

}  // namespace weir
