#include "launch/lake_stats/column_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include <arrow/array.h>
#include <arrow/compute/api_vector.h>
#include <arrow/datum.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <xxhash.h>

#include "base/number_text.h"
#include "base/random.h"
#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr int64_t kFirstGrowthRows = 1024;
constexpr size_t kTextBytesMax = 256;

// Times and dates as the integers that they are stored as; anything else as it is.
Result<std::shared_ptr<arrow::Array>> WithoutUnits(const std::shared_ptr<arrow::Array>& values) {
  const arrow::Type::type id = values->type_id();
  const bool is_32 = id == arrow::Type::DATE32 || id == arrow::Type::TIME32;
  const bool is_64 = id == arrow::Type::DATE64 || id == arrow::Type::TIME64 || id == arrow::Type::TIMESTAMP ||
                     id == arrow::Type::DURATION;
  if (!is_32 && !is_64) return values;
  return FromArrow(values->View(is_32 ? arrow::int32() : arrow::int64()), "a column of times");
}

// At most kTextBytesMax bytes, printable: what is no UTF-8 becomes '?'.
std::string Readable(std::string_view text) {
  std::string readable(text.substr(0, kTextBytesMax));
  for (size_t at = 0; at < readable.size();) {
    const auto lead = static_cast<unsigned char>(readable[at]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    bool whole = length > 0 && at + length <= readable.size();
    for (size_t i = 1; whole && i < length; ++i) whole = (readable[at + i] & 0xc0) == 0x80;
    if (!whole) readable[at] = '?';
    at += whole ? length : 1;
  }
  return readable;
}

std::vector<double> EvenShares(int parts) {
  std::vector<double> shares;
  for (int i = 0; i <= parts; ++i) shares.push_back(static_cast<double>(i) / parts);
  return shares;
}

}  // namespace

ColumnStatistics::Kind ColumnStatistics::KindOf(const arrow::DataType& type, bool text) {
  switch (type.id()) {
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      return Kind::kInteger;
    case arrow::Type::BOOL:
      return Kind::kBoolean;
    default:
      break;
  }
  if (IsIntegerType(type)) return arrow::is_unsigned_integer(type.id()) ? Kind::kUnsigned : Kind::kInteger;
  if (IsFloatingType(type)) return Kind::kFloating;
  if (IsStringType(type)) return text ? Kind::kText : Kind::kString;
  return Kind::kOther;
}

ColumnStatistics::ColumnStatistics(std::shared_ptr<arrow::Field> field, bool text)
    : field_(std::move(field)),
      kind_(KindOf(ElementType(*field_->type()), text)),
      next_growth_rows_(kFirstGrowthRows),
      top_(kCounters),
      cells_(KeyCounts::kValuesMax),
      keys_(KeyCounts::kValuesMax),
      values_(KeyCounts::kValuesMax),
      views_(KeyCounts::kValuesMax) {}

Status ColumnStatistics::Add(const std::shared_ptr<arrow::Array>& column) {
  rows_ += column->length();
  missing_ += column->null_count();
  WEIR_RETURN_IF_ERROR(IsListType(*column->type()) ? AddLists(*column) : AddElements(column));
  if (kind_ == Kind::kOther || rows_ < next_growth_rows_) return Status();
  while (next_growth_rows_ <= rows_) next_growth_rows_ *= 2;
  growth_.push_back({rows_, distinct_.Estimate()});
  return Status();
}

Status ColumnStatistics::AddLists(const arrow::Array& column) {
  std::vector<int64_t> bounds;
  const std::shared_ptr<arrow::Array> elements = ListElements(column, &bounds);
  std::vector<double> lengths;
  int64_t run = bounds[0];  // where elements begin that were not added yet
  for (int64_t row = 0; row < column.length(); ++row) {
    if (column.IsValid(row)) {
      lengths.push_back(static_cast<double>(bounds[row + 1] - bounds[row]));
    } else if (bounds[row + 1] > bounds[row]) {
      WEIR_RETURN_IF_ERROR(AddElements(elements->Slice(run, bounds[row] - run)));
      run = bounds[row + 1];
    }
  }
  length_moments_.Add(lengths);
  for (const double length : lengths) lengths_.Add(length);
  return AddElements(elements->Slice(run, bounds[column.length()] - run));
}

Status ColumnStatistics::AddElements(std::shared_ptr<arrow::Array> elements) {
  if (kind_ == Kind::kOther) return Status();
  if (elements->type_id() == arrow::Type::DICTIONARY) {
    const auto& encoded = static_cast<const arrow::DictionaryArray&>(*elements);
    WEIR_ASSIGN_OR_RETURN(elements, FromArrow(arrow::compute::Take(*encoded.dictionary(), *encoded.indices()),
                                              "a dictionary-encoded column"));
  }
  WEIR_ASSIGN_OR_RETURN(elements, WithoutUnits(elements));
  for (int64_t at = 0; at < elements->length(); at += KeyCounts::kValuesMax) {
    WEIR_RETURN_IF_ERROR(AddChunk(*elements->Slice(at, KeyCounts::kValuesMax)));
  }
  return Status();
}

Status ColumnStatistics::ReadChunk(const arrow::Array& values) {
  const int64_t n = values.length();
  switch (kind_) {
    case Kind::kInteger:
    case Kind::kUnsigned:
      WEIR_RETURN_IF_ERROR(ReadNumbers(values, values_.data(), cells_.data()));
      return ReadIntegers(values, keys_.data(), cells_.data());
    case Kind::kFloating:
    case Kind::kBoolean:
      WEIR_RETURN_IF_ERROR(ReadNumbers(values, values_.data(), cells_.data()));
      for (int64_t i = 0; i < n; ++i) {
        if (cells_[i] != Cell::kValue) continue;
        // 0 and -0 are one value, and so are all kinds of NaN.
        const double value = values_[i] == 0 ? 0.0 : std::isnan(values_[i]) ? std::nan("") : values_[i];
        keys_[i] = std::bit_cast<uint64_t>(value);
      }
      return Status();
    default:
      WEIR_RETURN_IF_ERROR(ReadStrings(values, views_.data(), cells_.data()));
      for (int64_t i = 0; i < n; ++i) {
        if (cells_[i] == Cell::kValue) keys_[i] = XXH3_64bits(views_[i].data(), views_[i].size());
      }
      return Status();
  }
}

Status ColumnStatistics::AddChunk(const arrow::Array& values) {
  const int64_t n = values.length();
  WEIR_RETURN_IF_ERROR(ReadChunk(values));
  counts_.Clear();
  for (int64_t i = 0; i < n; ++i) {
    if (cells_[i] == Cell::kValue) counts_.Add(keys_[i], i);
  }
  AddKeys();
  if (!HasNumbers()) return Status();
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (cells_[i] != Cell::kValue) continue;
    double value = values_[i];
    if (kind_ == Kind::kText) {
      text_type_.See(views_[i]);
      if (!HasNumbers()) return Status();  // for good: what came before was chance
      ParseNumber(views_[i], &value);
    }
    if (std::isfinite(value))
      values_[kept++] = value;
    else
      ++(std::isnan(value) ? nan_ : infinite_);
  }
  moments_.Add({values_.data(), static_cast<size_t>(kept)});
  for (int64_t i = 0; i < kept; ++i) numbers_.Add(values_[i]);
  return Status();
}

void ColumnStatistics::AddKeys() {
  const bool strings = kind_ == Kind::kString || kind_ == Kind::kText;
  for (const KeyCounts::Entry& entry : counts_.entries()) {
    distinct_.Add(SplitMix64(entry.key));
    const HeavyHitters::Added added = top_.Add(entry.key, entry.count);
    if (!strings || !added.is_new) continue;
    if (top_texts_.size() <= added.counter) top_texts_.resize(added.counter + 1);
    top_texts_[added.counter] = Readable(views_[entry.first]);
  }
}

bool ColumnStatistics::HasNumbers() const {
  if (kind_ == Kind::kText) return text_type_.kind() != TextType::Kind::kString;
  return kind_ != Kind::kString && kind_ != Kind::kOther;
}

ColumnSummary ColumnStatistics::Summarize() const {
  ColumnSummary summary;
  summary.name = field_->name();
  summary.type = kind_ == Kind::kText ? TextTypeName(text_type_.kind()) : field_->type()->ToString();
  summary.rows = rows_;
  summary.missing = missing_;
  summary.is_list = IsListType(*field_->type());
  summary.lengths = length_moments_;
  summary.length_quantiles = lengths_.Quantiles(EvenShares(100));
  summary.has_keys = kind_ != Kind::kOther;
  if (!summary.has_keys) return summary;
  summary.distinct = distinct_.Estimate();
  summary.growth = growth_;
  if (rows_ > 0 && (growth_.empty() || growth_.back().rows < rows_)) {
    summary.growth.push_back({rows_, summary.distinct});
  }
  for (const HeavyHitters::Counter& counter : top_.Top(kTopValues)) {
    TopValue value{TopValue::Kind::kText, counter.key, "", counter.count, counter.error};
    if (kind_ == Kind::kInteger) {
      value.kind = TopValue::Kind::kInteger;
      value.text = fmt::format("{}", static_cast<int64_t>(counter.key));
    } else if (kind_ == Kind::kUnsigned) {
      value.kind = TopValue::Kind::kUnsigned;
      value.text = fmt::format("{}", counter.key);
    } else if (kind_ == Kind::kFloating || kind_ == Kind::kBoolean) {
      value.kind = TopValue::Kind::kFloating;
      value.text = fmt::format("{}", std::bit_cast<double>(counter.key));
    } else {
      value.text = top_texts_[counter.number];
    }
    summary.top.push_back(std::move(value));
  }
  summary.top_error = top_.uncounted_max();
  if (!HasNumbers()) return summary;
  summary.numbers = moments_;
  summary.nan = nan_;
  summary.infinite = infinite_;
  summary.quantiles = numbers_.Quantiles(EvenShares(kQuantileParts));
  return summary;
}

}  // namespace weir
