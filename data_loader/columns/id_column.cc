#include "data_loader/columns/id_column.h"

#include <string_view>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/cells.h"

namespace weir {
namespace {

// Calls append(i, cell, id) for each row, in order.
template <typename Append>
Status ForEachId(const arrow::Array& column, const Append& append) {
  const int64_t n = column.length();
  std::vector<Cell> cells(n);
  if (IsStringType(*column.type())) {
    std::vector<std::string_view> texts(n);
    WEIR_RETURN_IF_ERROR(ReadStrings(column, texts.data(), cells.data()));
    for (int64_t i = 0; i < n; ++i) append(i, cells[i], texts[i]);
    return Status();
  }
  std::vector<uint64_t> bits(n);
  WEIR_RETURN_IF_ERROR(ReadIntegers(column, bits.data(), cells.data()));
  const bool is_signed = arrow::is_signed_integer(column.type_id());
  for (int64_t i = 0; i < n; ++i) {
    const fmt::format_int text = is_signed ? fmt::format_int(static_cast<int64_t>(bits[i])) : fmt::format_int(bits[i]);
    append(i, cells[i], std::string_view(text.data(), text.size()));
  }
  return Status();
}

}  // namespace

Result<IdColumn> IdColumn::Make(const std::string& column, const arrow::DataType& type) {
  const bool coded = type.id() == arrow::Type::DICTIONARY;
  const arrow::DataType& values = coded ? *static_cast<const arrow::DictionaryType&>(type).value_type() : type;
  if (!IsIntegerType(values) && !IsStringType(values)) {
    return InvalidArgument(
        fmt::format("data.ledger: column {}: expected integers or strings, found {}", column, type.ToString()));
  }
  IdColumn made;
  made.column_ = column;
  return made;
}

Status IdColumn::Extract(const arrow::Array& column, SampleIds* out, int64_t first_row,
                         std::vector<BadRow>* bad) const {
  const auto append = [&](int64_t i, Cell cell, std::string_view id) {
    const bool too_long = cell == Cell::kValue && static_cast<int64_t>(id.size()) > kIdBytesMax;
    const bool good = cell == Cell::kValue && !too_long;
    out->Append(good ? id : std::string_view());
    if (good) return;
    bad->push_back({first_row + i, column_,
                    too_long ? fmt::format("is longer than {} bytes", kIdBytesMax) : "is missing",
                    CellText(column, i)});
  };
  if (column.type_id() != arrow::Type::DICTIONARY) return ForEachId(column, append).Wrap(column_);

  const auto& coded = static_cast<const arrow::DictionaryArray&>(column);
  SampleIds entries;
  std::vector<Cell> entry_cells;
  WEIR_RETURN_IF_ERROR(ForEachId(*coded.dictionary(), [&](int64_t, Cell cell, std::string_view id) {
                         entries.Append(id);
                         entry_cells.push_back(cell);
                       }).Wrap(column_));
  std::vector<uint64_t> indices(column.length());
  std::vector<Cell> cells(column.length());
  WEIR_RETURN_IF_ERROR(ReadIntegers(*coded.indices(), indices.data(), cells.data()).Wrap(column_));
  for (int64_t i = 0; i < column.length(); ++i) {
    const bool known = cells[i] == Cell::kValue && indices[i] < entry_cells.size();
    append(i, known ? entry_cells[indices[i]] : Cell::kMissing,
           known ? entries[static_cast<int64_t>(indices[i])] : std::string_view());
  }
  return Status();
}

}  // namespace weir
