#include "data_loader/columns/vector_column.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/cells.h"
#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

// The parts of each string as ListElements has the elements of each list, empty ones null.
Result<std::shared_ptr<arrow::Array>> SplitElements(const arrow::Array& column, const std::string& separator,
                                                    std::vector<int64_t>* bounds) {
  std::vector<std::string_view> texts(column.length());
  std::vector<Cell> cells(column.length());
  WEIR_RETURN_IF_ERROR(ReadStrings(column, texts.data(), cells.data()));
  arrow::LargeStringBuilder parts;
  arrow::Status status;
  *bounds = {0};
  for (size_t i = 0; i < texts.size(); ++i) {
    ForEachPart(cells[i] == Cell::kValue ? texts[i] : std::string_view(), separator, [&](std::string_view part) {
      status = part.empty() ? parts.AppendNull() : parts.Append(part);
      return status.ok();
    });
    WEIR_RETURN_IF_ERROR(FromArrow(status, "splitting strings"));
    bounds->push_back(parts.length());
  }
  return FromArrow(parts.Finish(), "splitting strings");
}

int64_t CountNulls(const arrow::Array& values, int64_t begin, int64_t end) {
  int64_t count = 0;
  for (int64_t i = begin; i < end; ++i) count += values.IsNull(i);
  return count;
}

}  // namespace

Result<VectorColumn> VectorColumn::Make(const FeatureConfig& feature, const arrow::DataType& type, bool text) {
  const bool splits = !feature.numeric().split().empty();
  const std::string place = fmt::format("feature {}: column {}", feature.name(), feature.column());
  if (splits ? !IsStringType(type) : !IsListType(type)) {
    return InvalidArgument(fmt::format("{}: a vector expects {}, found {}", place,
                                       splits ? "strings to be split" : "lists of numbers, or strings and split",
                                       type.ToString()));
  }
  const std::shared_ptr<arrow::DataType> field = splits ? nullptr : type.field(0)->type();
  WEIR_ASSIGN_OR_RETURN(NumericColumn numbers, NumericColumn::Make(feature, splits ? type : *field, text || splits));
  WEIR_ASSIGN_OR_RETURN(const auto null, FromArrow(arrow::MakeArrayOfNull(splits ? arrow::utf8() : field, 1), place));
  float missing = 0;
  std::vector<BadRow> bad;
  WEIR_RETURN_IF_ERROR(numbers.Extract(*null, &missing, /*stride=*/1, /*first_row=*/0, &bad));
  return VectorColumn(std::move(numbers), missing, feature);
}

Status VectorColumn::Extract(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                             std::vector<BadRow>* bad) const {
  std::vector<int64_t> bounds;
  std::shared_ptr<arrow::Array> elements;
  if (split_.empty()) {
    elements = ListElements(column, &bounds);
  } else {
    WEIR_ASSIGN_OR_RETURN(elements, SplitElements(column, split_, &bounds));
  }
  std::vector<float> numbers(elements->length());
  std::vector<BadRow> faults;
  WEIR_RETURN_IF_ERROR(numbers_.Extract(*elements, numbers.data(), /*stride=*/1, /*first_row=*/0, &faults));
  auto fault = faults.begin();
  for (int64_t i = 0; i < column.length(); ++i) {
    float* row = out + i * stride;
    const int64_t begin = bounds[i], end = bounds[i + 1];
    while (fault != faults.end() && fault->row < begin) ++fault;
    if (column.IsNull(i)) {
      std::fill_n(row, length_, missing_);
      continue;
    }
    std::string reason;
    if (end - begin != length_) {
      reason = fmt::format("has {} numbers, expected {}", end - begin, length_);
    } else if (elements->null_count() > 0 && CountNulls(*elements, begin, end) > 0) {
      reason = "has a missing number";
    } else if (fault != faults.end() && fault->row < end) {
      reason = "has one that " + fault->reason;
    }
    if (reason.empty()) {
      std::copy_n(numbers.data() + begin, length_, row);
    } else {
      std::fill_n(row, length_, missing_);
      bad->push_back({first_row + i, column_, std::move(reason), CellText(column, i)});
    }
  }
  return Status();
}

}  // namespace weir
