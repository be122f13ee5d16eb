#include "data_loader/formats/broken_rows.h"

#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

// Of utf8: null for whole rows, else reason, line end, text.
constexpr char kBrokenColumn[] = "weir.broken_row";
constexpr std::string_view kWhat = "putting broken rows to their places";

Result<std::shared_ptr<arrow::Array>> WithNulls(const std::shared_ptr<arrow::Array>& column,
                                                const std::vector<BrokenRow>& broken) {
  WEIR_ASSIGN_OR_RETURN(auto null, FromArrow(arrow::MakeArrayOfNull(column->type(), 1), kWhat));
  arrow::ArrayVector pieces;
  int64_t taken = 0;
  for (size_t b = 0; b < broken.size(); ++b) {
    const int64_t whole_before = broken[b].row - static_cast<int64_t>(b);
    if (whole_before > taken) pieces.push_back(column->Slice(taken, whole_before - taken));
    taken = whole_before;
    pieces.push_back(null);
  }
  pieces.push_back(column->Slice(taken));
  return FromArrow(arrow::Concatenate(pieces), kWhat);
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> InsertBrokenRows(const arrow::RecordBatch& good,
                                                             const std::vector<BrokenRow>& broken) {
  arrow::ArrayVector columns;
  for (const auto& column : good.columns()) {
    WEIR_ASSIGN_OR_RETURN(auto array, WithNulls(column, broken));
    columns.push_back(std::move(array));
  }
  const int64_t rows = good.num_rows() + static_cast<int64_t>(broken.size());
  arrow::StringBuilder marks;
  for (const BrokenRow& row : broken) {
    WEIR_RETURN_IF_ERROR(FromArrow(marks.AppendNulls(row.row - marks.length()), kWhat));
    WEIR_RETURN_IF_ERROR(FromArrow(marks.Append(row.reason + "\n" + row.text), kWhat));
  }
  WEIR_RETURN_IF_ERROR(FromArrow(marks.AppendNulls(rows - marks.length()), kWhat));
  WEIR_ASSIGN_OR_RETURN(auto mark, FromArrow(marks.Finish(), kWhat));
  columns.push_back(std::move(mark));
  WEIR_ASSIGN_OR_RETURN(
      auto schema,
      FromArrow(good.schema()->AddField(good.num_columns(), arrow::field(kBrokenColumn, arrow::utf8())), kWhat));
  return arrow::RecordBatch::Make(std::move(schema), rows, std::move(columns));
}

Status FindBrokenRows(const arrow::RecordBatch& rows, int64_t first_row, std::vector<BadRow>* bad) {
  const auto column = rows.GetColumnByName(kBrokenColumn);
  if (column == nullptr || column->null_count() == column->length()) return Status();
  if (column->type_id() != arrow::Type::STRING) return Internal("the column of broken rows is no text");
  const auto& marks = static_cast<const arrow::StringArray&>(*column);
  for (int64_t i = 0; i < marks.length(); ++i) {
    if (marks.IsNull(i)) continue;
    const std::string_view mark = marks.GetView(i);
    const size_t line = mark.find('\n');
    bad->push_back({first_row + i, "", std::string(mark.substr(0, line)), std::string(mark.substr(line + 1))});
  }
  return Status();
}

Status RefuseBrokenRows(const arrow::RecordBatch& rows, int64_t first_row, const std::string& path) {
  std::vector<BadRow> broken;
  WEIR_RETURN_IF_ERROR(FindBrokenRows(rows, first_row, &broken));
  if (broken.empty()) return Status();
  return InvalidArgument(
      fmt::format("{}: row {} {}: '{}'", path, broken[0].row + 1, broken[0].reason, broken[0].value));
}

}  // namespace weir
