#include "data_loader/columns/value_weights.h"

#include <cmath>
#include <numeric>
#include <string_view>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/list_bounds.h"

namespace weir {
namespace {

bool IsNumber(const arrow::DataType& type) { return IsIntegerType(type) || IsFloatingType(type); }

// What a float cannot hold is bad; 0 stands in its place.
void ToFloats(const std::vector<double>& numbers, ValueWeights* out) {
  out->weights.resize(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const bool is_value = out->cells[i] == Cell::kValue;
    const float weight = is_value ? static_cast<float>(numbers[i]) : 0.0f;
    if (!std::isfinite(weight)) out->cells[i] = Cell::kBad;
    out->weights[i] = std::isfinite(weight) ? weight : 0.0f;
  }
}

}  // namespace

Result<ValueWeightColumn> ValueWeightColumn::Make(const FeatureConfig& feature, const arrow::DataType& values,
                                                  const arrow::DataType& type, bool text) {
  ValueWeightColumn made;
  made.column_ = feature.sparse().weight_column();
  made.split_ = feature.sparse().split();
  std::string expected;
  bool fits = false;
  if (!made.split_.empty()) {
    expected = fmt::format("strings of numbers between '{}', as the values of column {} are split", made.split_,
                           feature.column());
    fits = IsStringType(type);
  } else if (IsListType(values)) {
    expected = fmt::format("lists of integers, float or double, as column {} has lists", feature.column());
    fits = IsListType(type) && IsNumber(InnermostType(type));
  } else {
    expected = fmt::format("integers, float or double, as column {} has single values", feature.column());
    fits = IsNumber(type) || (text && IsStringType(type));
  }
  if (fits) return made;
  return InvalidArgument(fmt::format("feature {}: weight column {}: expected {}, found {}", feature.name(),
                                     made.column_, expected, type.ToString()));
}

Status ValueWeightColumn::ReadNumbersOf(const arrow::Array& numbers, ValueWeights* out) const {
  std::vector<double> doubles(numbers.length());
  out->cells.resize(numbers.length());
  WEIR_RETURN_IF_ERROR(ReadNumbers(numbers, doubles.data(), out->cells.data()).Wrap(column_));
  ToFloats(doubles, out);
  return Status();
}

Status ValueWeightColumn::ReadSplit(const arrow::Array& column, ValueWeights* out) const {
  const int64_t n = column.length();
  std::vector<std::string_view> strings(n);
  std::vector<Cell> cells(n);
  WEIR_RETURN_IF_ERROR(ReadStrings(column, strings.data(), cells.data()).Wrap(column_));
  std::vector<double> doubles;
  out->cells.clear();
  out->bounds = {0};
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view text = cells[i] == Cell::kMissing ? std::string_view() : strings[i];
    ForEachPart(text, split_, [&](std::string_view part) {
      double number = 0;
      const bool is_number = ParseNumber(part, &number);
      out->cells.push_back(part.empty() ? Cell::kMissing : is_number ? Cell::kValue : Cell::kBad);
      doubles.push_back(number);
      return true;
    });
    out->bounds.push_back(static_cast<int64_t>(doubles.size()));
  }
  ToFloats(doubles, out);
  return Status();
}

Status ValueWeightColumn::Read(const arrow::Array& column, ValueWeights* out) const {
  out->missing.resize(column.length());
  for (int64_t i = 0; i < column.length(); ++i) out->missing[i] = column.IsNull(i);
  if (!split_.empty()) return ReadSplit(column, out);
  if (IsListType(*column.type())) return ReadNumbersOf(*ListElements(column, &out->bounds), out);
  out->bounds.resize(column.length() + 1);
  std::iota(out->bounds.begin(), out->bounds.end(), int64_t{0});
  return ReadNumbersOf(column, out);
}

}  // namespace weir
