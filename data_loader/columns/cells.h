// Cells: values of one Arrow column as plain arrays, whatever the column's type: the loops that all transforms share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"

namespace weir {

// What stands in a cell. Values under kMissing and kBad are unspecified.
enum class Cell : uint8_t {
  kValue = 0,
  kMissing = 1,
  kBad = 2,  // text that is not what was asked for
};

// Integers of 8 to 64 bits, signed or not.
bool IsIntegerType(const arrow::DataType& type);
// float32 or float64.
bool IsFloatingType(const arrow::DataType& type);
// utf8 or binary, with 32- or 64-bit offsets.
bool IsStringType(const arrow::DataType& type);

// Of the single values: a list's elements, a dictionary's entries.
const arrow::DataType& ElementType(const arrow::DataType& type);

// [column.length()] each: column as doubles. The type is an integer, float32, float64, a boolean (0 or 1) or text to be
// parsed; any other is Internal: types are checked when files are opened.
Status ReadNumbers(const arrow::Array& column, double* values, Cell* cells);

// A column of numbers, read: [column.length()] each.
struct NumberCells {
  std::vector<double> values;
  std::vector<Cell> cells;
};

// As above, into arrays of their own; an error names the column.
Result<NumberCells> ReadNumbers(const arrow::Array& column, const std::string& name);

// The same as integers of 64 bits (signed ones sign-extended), from an integer column or text to be parsed.
Status ReadIntegers(const arrow::Array& column, uint64_t* values, Cell* cells);

// Views into a string column.
Status ReadStrings(const arrow::Array& column, std::string_view* values, Cell* cells);

// The cell as text for a message, cut at 64 characters.
std::string CellText(const arrow::Array& column, int64_t i);

}  // namespace weir
