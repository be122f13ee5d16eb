// Lines of Criteo's display advertising logs (Kaggle's train.txt and test.txt, the days of the 1 TB set):
//
//   line    := (label TAB)? integer{13} id{26}       each field but the last followed by a tab, none quoted
//   label   := "0" | "1"                             not in Kaggle's test.txt
//   integer := "" | "-"? digit+                      missing, or -2^31 .. 2^31-1
//   id      := "" | hex{1,8}                         missing, or 32 bits, of either case
//
// A "\r" before the line's end is dropped. A pure function; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "data_loader/formats/line_fault.h"

namespace weir {

constexpr int kCriteoIntegers = 13;
constexpr int kCriteoIds = 26;

struct CriteoRow {
  int32_t label = 0;
  int32_t integers[kCriteoIntegers] = {};  // 0 where missing
  uint32_t ids[kCriteoIds] = {};           // 0 where missing
  uint64_t present = 0;                    // bit i: integers[i] is there; bit 13 + i: ids[i] is

  bool has_integer(int i) const { return (present >> i & 1) != 0; }
  bool has_id(int i) const { return (present >> (kCriteoIntegers + i) & 1) != 0; }
};

// The row of a line, without its end; `labelled` says whether it begins with a label. After a fault *row means nothing;
// a line with another number of fields is at fault as a whole.
LineFault DecodeCriteoLine(std::string_view line, bool labelled, CriteoRow* row);

}  // namespace weir
