// Lines of libsvm and libffm text, the form of many old data sets:
//
//   line    := space* label (space+ pair)* space* ("#" any*)?        space := " " | "\t"
//   pair    := index ":" value                   libsvm
//            | field ":" index ":" value         libffm
//   label, value := a finite number within a float's range;  field, index := an integer from 0 to 2^63-1
//
// Lines of nothing but space and comments are no rows. A "\r" before the line's end counts as space. Indices may stand
// in any order and more than once. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data_loader/formats/line_fault.h"

namespace weir {

enum class LibsvmKind { kLibsvm, kLibffm };

// Rows decoded one after another: row i holds the pairs [offsets[i], offsets[i + 1]).
struct LibsvmRows {
  std::vector<float> labels;
  std::vector<int64_t> offsets = {0};
  std::vector<int64_t> fields;  // libffm only
  std::vector<int64_t> indices;
  std::vector<float> values;

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  void Clear();
};

// Whether the line, without its end, holds a row, whole or faulty.
bool IsLibsvmRow(std::string_view line);

// What the line's first pair looks like; nothing when the line has no pair to go by.
std::optional<LibsvmKind> DetectLibsvmKind(std::string_view line);

// Appends the row of a line, without its end, of which IsLibsvmRow() is true. After a fault *rows is as it was.
LineFault DecodeLibsvmLine(std::string_view line, LibsvmKind kind, LibsvmRows* rows);

}  // namespace weir
