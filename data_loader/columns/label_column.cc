#include "data_loader/columns/label_column.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/cells.h"

namespace weir {
namespace {

bool IsNumberType(const arrow::DataType& type) {
  return IsIntegerType(type) || IsFloatingType(type) || type.id() == arrow::Type::BOOL;
}

template <typename Values, typename Value>
bool Holds(const Values& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// The named values as numbers: "true" and "false" too.
Status ParseAll(const google::protobuf::RepeatedPtrField<std::string>& texts, std::vector<double>* numbers) {
  for (const std::string& text : texts) {
    double number = text == "true" ? 1 : 0;
    if (text != "true" && text != "false" && !ParseNumber(text, &number)) {
      return InvalidArgument(
          fmt::format("expected numbers in data.label.positive and .negative, as the column holds, found '{}'", text));
    }
    numbers->push_back(number);
  }
  return Status();
}

}  // namespace

Result<LabelColumn> LabelColumn::Make(const LabelConfig& config, const arrow::DataType& type, bool text) {
  LabelColumn made;
  made.column_ = config.column();
  made.named_ = config.positive_size() > 0;
  if (config.has_at_least()) made.at_least_ = config.at_least();
  const arrow::DataType& values =
      type.id() == arrow::Type::DICTIONARY ? *static_cast<const arrow::DictionaryType&>(type).value_type() : type;
  made.strings_ = made.named_ && IsStringType(values);
  std::string place = fmt::format("label column {}", config.column());
  if (config.negative_size() > 0 && !made.named_) {
    return InvalidArgument(fmt::format("{}: data.label.negative is set, but positive is not", place));
  }
  bool dictionary = type.id() == arrow::Type::DICTIONARY;
  if (!made.strings_ && !(IsNumberType(values) && !dictionary) && !(text && IsStringType(type))) {
    return InvalidArgument(fmt::format("{}: expected numbers{}, found {}", place,
                                       made.named_      ? " or strings"
                                       : made.at_least_ ? ""
                                                        : " in [0, 1] (for strings set data.label.positive)",
                                       type.ToString()));
  }
  made.positive_.assign(config.positive().begin(), config.positive().end());
  made.negative_.assign(config.negative().begin(), config.negative().end());
  if (made.named_ && !made.strings_) {
    WEIR_RETURN_IF_ERROR(ParseAll(config.positive(), &made.positive_numbers_).Wrap(place));
    WEIR_RETURN_IF_ERROR(ParseAll(config.negative(), &made.negative_numbers_).Wrap(place));
  }
  return made;
}

Status LabelColumn::ExtractNumbers(const arrow::Array& column, float* out, int64_t first_row,
                                   std::vector<BadRow>* bad) const {
  WEIR_ASSIGN_OR_RETURN(NumberCells read, ReadNumbers(column, column_));
  auto& [values, cells] = read;
  const int64_t n = column.length();
  for (int64_t i = 0; i < n; ++i) {
    const char* reason = nullptr;
    bool positive = named_ && Holds(positive_numbers_, values[i]);
    if (cells[i] == Cell::kMissing) {
      reason = "is missing";
    } else if (cells[i] == Cell::kBad) {
      reason = "is no number";
    } else if (named_ && !positive && !negative_numbers_.empty() && !Holds(negative_numbers_, values[i])) {
      reason = "is neither a positive nor a negative label";
    } else if (at_least_ && std::isnan(values[i])) {
      reason = "is NaN";
    } else if (!named_ && !at_least_ && !(values[i] >= 0 && values[i] <= 1)) {
      reason = "is outside [0, 1]";
    }
    const double label = at_least_ ? values[i] >= *at_least_ : named_ ? positive : values[i];
    out[i] = reason != nullptr ? 0 : static_cast<float>(label);
    if (reason != nullptr) bad->push_back({first_row + i, column_, reason, CellText(column, i)});
  }
  return Status();
}

Status LabelColumn::ExtractStrings(const arrow::Array& column, float* out, int64_t first_row,
                                   std::vector<BadRow>* bad) const {
  const int64_t n = column.length();
  const bool dictionary = column.type_id() == arrow::Type::DICTIONARY;
  const arrow::Array& strings = dictionary ? *static_cast<const arrow::DictionaryArray&>(column).dictionary() : column;
  std::vector<std::string_view> texts(strings.length());
  std::vector<Cell> text_cells(strings.length());
  WEIR_RETURN_IF_ERROR(ReadStrings(strings, texts.data(), text_cells.data()).Wrap(column_));
  std::vector<uint64_t> indices(dictionary ? n : 0);
  std::vector<Cell> index_cells(dictionary ? n : 0);
  if (dictionary) {
    const arrow::Array& codes = *static_cast<const arrow::DictionaryArray&>(column).indices();
    WEIR_RETURN_IF_ERROR(ReadIntegers(codes, indices.data(), index_cells.data()).Wrap(column_));
  }
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t at = dictionary ? indices[i] : i;
    bool missing =
        (dictionary && (index_cells[i] != Cell::kValue || at >= texts.size())) || text_cells[at] == Cell::kMissing;
    bool positive = !missing && Holds(positive_, texts[at]);
    const char* reason = nullptr;
    if (missing) {
      reason = "is missing";
    } else if (!positive && !negative_.empty() && !Holds(negative_, texts[at])) {
      reason = "is neither a positive nor a negative label";
    }
    out[i] = reason == nullptr && positive;
    if (reason != nullptr) bad->push_back({first_row + i, column_, reason, CellText(column, i)});
  }
  return Status();
}

Status LabelColumn::Extract(const arrow::Array& column, float* out, int64_t first_row, std::vector<BadRow>* bad) const {
  return strings_ ? ExtractStrings(column, out, first_row, bad) : ExtractNumbers(column, out, first_row, bad);
}

Result<WeightColumn> WeightColumn::Make(const std::string& column, const arrow::DataType& type, bool text) {
  if (!IsNumberType(type) && !(text && IsStringType(type))) {
    return InvalidArgument(fmt::format("weight column {}: expected numbers, found {}", column, type.ToString()));
  }
  WeightColumn made;
  made.column_ = column;
  return made;
}

Status WeightColumn::Extract(const arrow::Array& column, float* out, int64_t first_row,
                             std::vector<BadRow>* bad) const {
  WEIR_ASSIGN_OR_RETURN(NumberCells read, ReadNumbers(column, column_));
  auto& [values, cells] = read;
  const int64_t n = column.length();
  for (int64_t i = 0; i < n; ++i) {
    float weight = static_cast<float>(values[i]);
    const char* reason = cells[i] == Cell::kMissing                ? "is missing"
                         : cells[i] == Cell::kBad                  ? "is no number"
                         : !(weight > 0) || !std::isfinite(weight) ? "is no weight above 0"
                                                                   : nullptr;
    out[i] = reason == nullptr ? weight : 1;
    if (reason != nullptr) bad->push_back({first_row + i, column_, reason, CellText(column, i)});
  }
  return Status();
}

}  // namespace weir
