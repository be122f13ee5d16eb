#include "data_loader/columns/cells.h"

#include <algorithm>
#include <type_traits>

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/list_bounds.h"

namespace weir {
namespace {

// Marks nulls; kValue elsewhere.
void ReadValidity(const arrow::Array& column, Cell* cells) {
  std::fill_n(cells, column.length(), Cell::kValue);
  if (column.null_count() == 0) return;
  for (int64_t i = 0; i < column.length(); ++i) {
    if (column.IsNull(i)) cells[i] = Cell::kMissing;
  }
}

// Calls visit(raw values) for a column of plain numbers; false for other types.
template <typename Visit>
bool VisitNumbers(const arrow::Array& column, const Visit& visit) {
  switch (column.type_id()) {
    case arrow::Type::INT8:
      visit(static_cast<const arrow::Int8Array&>(column).raw_values());
      return true;
    case arrow::Type::INT16:
      visit(static_cast<const arrow::Int16Array&>(column).raw_values());
      return true;
    case arrow::Type::INT32:
      visit(static_cast<const arrow::Int32Array&>(column).raw_values());
      return true;
    case arrow::Type::INT64:
      visit(static_cast<const arrow::Int64Array&>(column).raw_values());
      return true;
    case arrow::Type::UINT8:
      visit(static_cast<const arrow::UInt8Array&>(column).raw_values());
      return true;
    case arrow::Type::UINT16:
      visit(static_cast<const arrow::UInt16Array&>(column).raw_values());
      return true;
    case arrow::Type::UINT32:
      visit(static_cast<const arrow::UInt32Array&>(column).raw_values());
      return true;
    case arrow::Type::UINT64:
      visit(static_cast<const arrow::UInt64Array&>(column).raw_values());
      return true;
    case arrow::Type::FLOAT:
      visit(static_cast<const arrow::FloatArray&>(column).raw_values());
      return true;
    case arrow::Type::DOUBLE:
      visit(static_cast<const arrow::DoubleArray&>(column).raw_values());
      return true;
    default:
      return false;
  }
}

// Calls visit(i, text) for each value of a string column; false for other types.
template <typename Visit>
bool VisitStrings(const arrow::Array& column, const Visit& visit) {
  auto all = [&](const auto& strings) {
    for (int64_t i = 0; i < strings.length(); ++i) visit(i, std::string_view(strings.GetView(i)));
  };
  switch (column.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      all(static_cast<const arrow::BinaryArray&>(column));
      return true;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      all(static_cast<const arrow::LargeBinaryArray&>(column));
      return true;
    default:
      return false;
  }
}

Status WrongType(const arrow::Array& column) {
  return Internal(fmt::format("a column of type {} came where it should have been refused", column.type()->ToString()));
}

}  // namespace

bool IsIntegerType(const arrow::DataType& type) { return arrow::is_integer(type.id()); }

bool IsFloatingType(const arrow::DataType& type) {
  return type.id() == arrow::Type::FLOAT || type.id() == arrow::Type::DOUBLE;
}

bool IsStringType(const arrow::DataType& type) { return arrow::is_base_binary_like(type.id()); }

Status ReadNumbers(const arrow::Array& column, double* values, Cell* cells) {
  ReadValidity(column, cells);
  const int64_t n = column.length();
  bool plain = VisitNumbers(column, [&](const auto* raw) {
    for (int64_t i = 0; i < n; ++i) values[i] = static_cast<double>(raw[i]);
  });
  if (plain) return Status();
  if (column.type_id() == arrow::Type::BOOL) {
    const auto& booleans = static_cast<const arrow::BooleanArray&>(column);
    for (int64_t i = 0; i < n; ++i) values[i] = booleans.Value(i) ? 1 : 0;
    return Status();
  }
  bool text = VisitStrings(column, [&](int64_t i, std::string_view field) {
    if (cells[i] == Cell::kValue && !ParseNumber(field, &values[i])) cells[i] = Cell::kBad;
  });
  return text ? Status() : WrongType(column);
}

Result<NumberCells> ReadNumbers(const arrow::Array& column, const std::string& name) {
  NumberCells read{std::vector<double>(column.length()), std::vector<Cell>(column.length())};
  WEIR_RETURN_IF_ERROR(ReadNumbers(column, read.values.data(), read.cells.data()).Wrap(name));
  return read;
}

Status ReadIntegers(const arrow::Array& column, uint64_t* values, Cell* cells) {
  ReadValidity(column, cells);
  if (IsFloatingType(*column.type())) return WrongType(column);
  const int64_t n = column.length();
  bool plain = VisitNumbers(column, [&](const auto* raw) {
    using Raw = std::remove_cvref_t<decltype(*raw)>;
    using Wide = std::conditional_t<std::is_signed_v<Raw>, int64_t, uint64_t>;
    for (int64_t i = 0; i < n; ++i) values[i] = static_cast<uint64_t>(static_cast<Wide>(raw[i]));
  });
  if (plain) return Status();
  bool text = VisitStrings(column, [&](int64_t i, std::string_view field) {
    if (cells[i] == Cell::kValue && !ParseInteger(field, &values[i])) cells[i] = Cell::kBad;
  });
  return text ? Status() : WrongType(column);
}

Status ReadStrings(const arrow::Array& column, std::string_view* values, Cell* cells) {
  ReadValidity(column, cells);
  return VisitStrings(column, [&](int64_t i, std::string_view text) { values[i] = text; }) ? Status()
                                                                                           : WrongType(column);
}

const arrow::DataType& ElementType(const arrow::DataType& type) {
  const arrow::DataType* element = &InnermostType(type);
  if (element->id() == arrow::Type::DICTIONARY) {
    element = static_cast<const arrow::DictionaryType*>(element)->value_type().get();
  }
  return *element;
}

std::string CellText(const arrow::Array& column, int64_t i) {
  auto scalar = column.GetScalar(i);
  if (!scalar.ok()) return "?";
  std::string text = (*scalar)->ToString();
  if (text.size() > 64) text = text.substr(0, 64) + "...";
  return text;
}

}  // namespace weir
