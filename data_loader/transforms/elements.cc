#include "data_loader/transforms/elements.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api_vector.h>
#include <arrow/type.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr char kMaking[] = "making a column";

template <typename Builder, typename Value>
Result<std::shared_ptr<arrow::Array>> ArrayOf(const std::vector<Value>& values, const std::vector<Cell>& cells) {
  std::vector<uint8_t> valid(cells.size());
  std::transform(cells.begin(), cells.end(), valid.begin(), [](Cell cell) { return cell == Cell::kValue; });
  Builder builder;
  WEIR_RETURN_IF_ERROR(
      FromArrow(builder.AppendValues(values.data(), static_cast<int64_t>(values.size()), valid.data()), kMaking));
  return FromArrow(builder.Finish(), kMaking);
}

Result<std::shared_ptr<arrow::Array>> MakeLists(const std::vector<int64_t>& bounds,
                                                const std::shared_ptr<arrow::Array>& values,
                                                std::shared_ptr<arrow::Buffer> validity) {
  const auto rows = static_cast<int64_t>(bounds.size()) - 1;
  arrow::Int64Builder builder;
  WEIR_RETURN_IF_ERROR(FromArrow(builder.AppendValues(bounds), kMaking));
  WEIR_ASSIGN_OR_RETURN(const auto offsets, FromArrow(builder.Finish(), kMaking));
  const auto& offset_values = static_cast<const arrow::Int64Array&>(*offsets);
  return std::shared_ptr<arrow::Array>(std::make_shared<arrow::LargeListArray>(
      arrow::large_list(values->type()), rows, offset_values.values(), values, std::move(validity)));
}

template <typename IsNull>
Result<std::shared_ptr<arrow::Buffer>> Validity(int64_t rows, const IsNull& is_null) {
  arrow::TypedBufferBuilder<bool> builder;
  WEIR_RETURN_IF_ERROR(FromArrow(builder.Reserve(rows), kMaking));
  for (int64_t i = 0; i < rows; ++i) builder.UnsafeAppend(!is_null(i));
  return FromArrow(builder.Finish(), kMaking);
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> WithoutDictionary(const std::shared_ptr<arrow::Array>& array) {
  if (array->type_id() != arrow::Type::DICTIONARY) return array;
  const auto& coded = static_cast<const arrow::DictionaryArray&>(*array);
  // Bounds are checked: the indices may come from a file.
  return FromArrow(arrow::compute::Take(*coded.dictionary(), *coded.indices()), "resolving a dictionary");
}

Result<Elements> Elements::Of(const std::shared_ptr<arrow::Array>& column) {
  Elements elements;
  elements.column_ = column;
  elements.values_ = IsListType(*column->type()) ? ListElements(*column, &elements.bounds_) : column;
  WEIR_ASSIGN_OR_RETURN(elements.values_, WithoutDictionary(elements.values_));
  return elements;
}

int64_t Elements::size() const { return values_->length(); }

int64_t Elements::num_rows() const { return column_->length(); }

bool Elements::row_is_null(int64_t row) const { return are_lists() ? column_->IsNull(row) : values_->IsNull(row); }

void Elements::ReportBad(const std::string& column, const std::string& reason, const RowFaults& faults,
                         std::vector<Cell>* cells) const {
  if (std::find(cells->begin(), cells->end(), Cell::kBad) == cells->end()) return;
  for (int64_t row = 0; row < num_rows(); ++row) {
    for (int64_t i = begin(row); i < begin(row + 1); ++i) {
      if ((*cells)[i] != Cell::kBad) continue;
      if (!row_is_null(row)) faults.Add(column, row, reason, *values_, i);
      (*cells)[i] = Cell::kMissing;
    }
  }
}

Result<std::shared_ptr<arrow::Array>> Elements::Rebuild(std::shared_ptr<arrow::Array> values) const {
  if (!are_lists()) return values;
  std::shared_ptr<arrow::Buffer> validity;
  if (column_->null_count() > 0) {
    WEIR_ASSIGN_OR_RETURN(validity, Validity(num_rows(), [&](int64_t i) { return column_->IsNull(i); }));
  }
  return MakeLists(bounds_, values, std::move(validity));
}

std::shared_ptr<arrow::DataType> RebuiltType(const arrow::DataType& column, std::shared_ptr<arrow::DataType> element) {
  return IsListType(column) ? arrow::large_list(std::move(element)) : element;
}

Result<std::shared_ptr<arrow::Array>> IntegerArray(const std::vector<int64_t>& values, const std::vector<Cell>& cells) {
  return ArrayOf<arrow::Int64Builder>(values, cells);
}

Result<std::shared_ptr<arrow::Array>> UnsignedArray(const std::vector<uint64_t>& values,
                                                    const std::vector<Cell>& cells) {
  return ArrayOf<arrow::UInt64Builder>(values, cells);
}

Result<std::shared_ptr<arrow::Array>> DoubleArray(const std::vector<double>& values, const std::vector<Cell>& cells) {
  return ArrayOf<arrow::DoubleBuilder>(values, cells);
}

Result<std::shared_ptr<arrow::Array>> ListArray(const std::vector<int64_t>& bounds,
                                                const std::shared_ptr<arrow::Array>& values,
                                                const std::vector<bool>& missing) {
  WEIR_ASSIGN_OR_RETURN(auto validity,
                        Validity(static_cast<int64_t>(missing.size()), [&](int64_t i) { return missing[i]; }));
  return MakeLists(bounds, values, std::move(validity));
}

}  // namespace weir
