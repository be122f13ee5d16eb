// LineFault: why a line of text is no row.
#pragma once

#include <string_view>

namespace weir {

// What a line decoder returns.
struct LineFault {
  // Static text, the same for all lines with this fault, so that they can be counted by it; nullptr when the line is a
  // row.
  const char* reason = nullptr;
  int field = 0;            // which of the line, from 1 (the label)
  std::string_view text;    // of the field; lives as long as the line
  bool is_of_line = false;  // the line as a whole is at fault: `field` says how many fields it has

  bool is_fault() const { return reason != nullptr; }
};

}  // namespace weir
