#include "data_loader/columns/sparse_column.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/dictionary_indices.h"
#include "data_loader/columns/list_bounds.h"

namespace weir {
namespace {

// What the feature wants of text, where there are no types.
SparseColumn::Kind KindOfText(const SparseConfig& config) {
  if (config.boundaries_size() > 0) return SparseColumn::Kind::kFloating;
  switch (config.type()) {
    case SparseConfig::INTEGER:
      return SparseColumn::Kind::kInteger;
    case SparseConfig::FLOATING:
      return SparseColumn::Kind::kFloating;
    case SparseConfig::STRING:
      return SparseColumn::Kind::kString;
    default:
      return config.identity() ? SparseColumn::Kind::kInteger : SparseColumn::Kind::kString;
  }
}

std::string_view Expected(const SparseConfig& config) {
  if (config.boundaries_size() > 0) return "int8..int64, uint8..uint64, float or double (it has boundaries)";
  if (config.identity()) return "int8..int64 or uint8..uint64 (it is identity)";
  switch (config.type()) {
    case SparseConfig::INTEGER:
      return "int8..int64 or uint8..uint64 (its type is INTEGER)";
    case SparseConfig::STRING:
      return "string, large_string or binary (its type is STRING)";
    case SparseConfig::FLOATING:
      return "boundaries with its type FLOATING: floating numbers are not hashed";
    default:
      return "int8..int64, uint8..uint64, string, large_string or binary, or a list or dictionary of them "
             "(floating numbers only with boundaries)";
  }
}

// Appends n samples of one value each; returns where these go.
uint64_t* AppendSingle(size_t n, Jagged* out) {
  const size_t before = out->values.size(), first_offset = out->offsets.size();
  out->values.resize(before + n);
  out->offsets.resize(first_offset + n);
  // Past 2^31 values the offsets mean nothing; CheckValueCount() refuses them.
  std::iota(out->offsets.begin() + static_cast<int64_t>(first_offset), out->offsets.end(),
            static_cast<uint32_t>(before) + 1);
  return out->values.data() + before;
}

// Whether a feature may read values of `type`.
bool Accepts(const SparseConfig& config, const arrow::DataType& type) {
  if (config.boundaries_size() > 0) return IsIntegerType(type) || IsFloatingType(type);
  if (config.identity()) return IsIntegerType(type);
  if (config.type() == SparseConfig::INTEGER) return IsIntegerType(type);
  if (config.type() == SparseConfig::STRING) return IsStringType(type);
  return config.type() == SparseConfig::AUTO && (IsIntegerType(type) || IsStringType(type));
}

}  // namespace

Status CheckValueCount(uint64_t values, int64_t rows, const std::string& column) {
  if (values <= INT32_MAX) return Status();
  return ResourceExhausted(fmt::format(
      "column {}: expected at most 2^31-1 values in {} rows, found {}: lower data.shuffle_rows or the batch size",
      column, rows, values));
}

uint64_t SparseColumn::Bucketize(double x, const std::vector<double>& boundaries) {
  return static_cast<uint64_t>(std::upper_bound(boundaries.begin(), boundaries.end(), x) - boundaries.begin());
}

Result<SparseColumn> SparseColumn::Make(const FeatureConfig& feature, const arrow::DataType& type, bool text,
                                        const arrow::DataType* weight_type) {
  const SparseConfig& config = feature.sparse();
  const arrow::DataType& values = ElementType(type);
  std::string place = fmt::format("feature {}: column {}", feature.name(), feature.column());
  // A resolved job names the hash space; the defaults are job.proto's.
  const std::string& space = config.has_hash_space() ? config.hash_space()
                             : config.has_table()    ? config.table()
                                                     : feature.name();
  SparseColumn made(KeyRule(space, config.buckets(), config.identity()));
  made.feature_ = feature.name();
  made.column_ = feature.column();
  made.text_ = text;
  made.boundaries_.assign(config.boundaries().begin(), config.boundaries().end());
  made.split_ = config.split();
  made.in_group_ = config.has_group();
  if (!std::is_sorted(made.boundaries_.begin(), made.boundaries_.end())) {
    return InvalidArgument(fmt::format("{}: expected ascending boundaries", place));
  }
  if (text) {
    made.kind_ = KindOfText(config);
    bool floating_hash = made.kind_ == Kind::kFloating && made.boundaries_.empty();
    if (floating_hash || (config.identity() && made.kind_ == Kind::kString)) {
      return InvalidArgument(fmt::format("{}: a sparse feature expects {}, found {}", place, Expected(config),
                                         SparseConfig::ValueType_Name(config.type())));
    }
  } else {
    if (!Accepts(config, values)) {
      return InvalidArgument(
          fmt::format("{}: a sparse feature expects {}, found {}", place, Expected(config), type.ToString()));
    }
    made.kind_ = !made.boundaries_.empty() ? Kind::kFloating : IsStringType(values) ? Kind::kString : Kind::kInteger;
  }
  if (config.has_quantiles()) {
    return InvalidArgument(fmt::format("{}: the stats_file of its quantiles was not read: it was not fitted", place));
  }
  if (made.in_group_ && made.split_.empty() && !IsListType(type)) {
    return InvalidArgument(fmt::format("{}: group {}: expected lists, or strings and split, found {}", place,
                                       config.group(), type.ToString()));
  }
  bool floating_dictionary = made.kind_ == Kind::kFloating && type.id() == arrow::Type::DICTIONARY;
  bool split_elsewhere = !made.split_.empty() && !IsStringType(type);
  if (floating_dictionary || split_elsewhere) {
    return InvalidArgument(fmt::format("{}: {} expects {}, found {}", place, split_elsewhere ? "split" : "boundaries",
                                       split_elsewhere ? "a column of strings" : "a column of numbers",
                                       type.ToString()));
  }
  if (config.has_default_value()) {
    auto key = made.OfText(config.default_value());
    if (!key.ok()) return key.status().Wrap(place + ": default_value");
    made.default_key_ = *key;
  }
  if (weight_type != nullptr) {
    WEIR_ASSIGN_OR_RETURN(made.weights_, ValueWeightColumn::Make(feature, type, *weight_type, text));
  }
  return made;
}

Result<uint64_t> SparseColumn::OfText(std::string_view text) const {
  if (kind_ == Kind::kString) return rule_.OfString(text);
  if (kind_ == Kind::kInteger) {
    uint64_t bits = 0;
    if (!ParseInteger(text, &bits)) return InvalidArgument(fmt::format("expected an integer, found '{}'", text));
    return rule_.OfInteger(bits);
  }
  double number = 0;
  if (!ParseNumber(text, &number) || std::isnan(number)) {
    return InvalidArgument(fmt::format("expected a number, found '{}'", text));
  }
  return OfNumber(number);
}

Status SparseColumn::KeysOf(const arrow::Array& values, uint64_t* keys, Cell* cells, DictionaryKeys* kept) const {
  const int64_t n = values.length();
  if (values.type_id() == arrow::Type::DICTIONARY) {
    return KeysOfDictionary(static_cast<const arrow::DictionaryArray&>(values), keys, cells, kept);
  }
  if (kind_ == Kind::kInteger) {
    WEIR_RETURN_IF_ERROR(ReadIntegers(values, keys, cells).Wrap(column_));
    rule_.OfIntegers(keys, n, keys);
    return Status();
  }
  if (kind_ == Kind::kString) {
    std::vector<std::string_view> strings(n);
    WEIR_RETURN_IF_ERROR(ReadStrings(values, strings.data(), cells).Wrap(column_));
    for (int64_t i = 0; i < n; ++i) keys[i] = rule_.OfString(strings[i]);
    return Status();
  }
  std::vector<double> numbers(n);
  WEIR_RETURN_IF_ERROR(ReadNumbers(values, numbers.data(), cells).Wrap(column_));
  for (int64_t i = 0; i < n; ++i) {
    if (cells[i] == Cell::kValue && std::isnan(numbers[i])) cells[i] = Cell::kBad;
    keys[i] = OfNumber(numbers[i]);
  }
  return Status();
}

Status SparseColumn::HashDictionary(const arrow::DictionaryArray& values, DictionaryKeys* out) const {
  // Slices of one array have arrays of their own of the dictionary, but its data in common.
  if (out->dictionary == values.data()->dictionary) return Status();
  out->dictionary.reset();
  const arrow::Array& entries = *values.dictionary();
  out->keys.resize(entries.length());
  out->cells.resize(entries.length());
  WEIR_RETURN_IF_ERROR(KeysOf(entries, out->keys.data(), out->cells.data()));
  out->whole = std::all_of(out->cells.begin(), out->cells.end(), [](Cell cell) { return cell == Cell::kValue; });
  out->dictionary = values.data()->dictionary;
  return Status();
}

Status SparseColumn::KeysOfDictionary(const arrow::DictionaryArray& values, uint64_t* keys, Cell* cells,
                                      DictionaryKeys* kept) const {
  DictionaryKeys once;
  DictionaryKeys& dictionary = kept != nullptr ? *kept : once;
  WEIR_RETURN_IF_ERROR(HashDictionary(values, &dictionary));
  std::vector<uint64_t> indices(values.length());
  WEIR_RETURN_IF_ERROR(ReadIntegers(*values.indices(), indices.data(), cells).Wrap(column_));
  for (int64_t i = 0; i < values.length(); ++i) {
    if (cells[i] != Cell::kValue) continue;
    if (indices[i] >= dictionary.keys.size()) {
      return DataLoss(fmt::format("{}: expected a dictionary index below {}, found {}", column_, dictionary.keys.size(),
                                  indices[i]));
    }
    keys[i] = dictionary.keys[indices[i]];
    cells[i] = dictionary.cells[indices[i]];
  }
  return Status();
}

void SparseColumn::AppendDefault(Jagged* out) const {
  if (!default_key_ || in_group_) return;
  out->values.push_back(*default_key_);
  if (weights_) out->weights.push_back(1.0f);
}

void SparseColumn::MarkBad(const arrow::Array& column, int64_t i, int64_t first_row, std::vector<BadRow>* bad) const {
  const char* reason = kind_ == Kind::kInteger ? "is no integer" : text_ ? "is no number" : "is NaN";
  bad->push_back({first_row + i, column_, reason, CellText(column, i)});
}

// The common case, one key in every row: a column of 64-bit integers without nulls. False, and nothing done, for
// others.
bool SparseColumn::ExtractIntegers(const arrow::Array& column, Jagged* out) const {
  if (kind_ != Kind::kInteger || column.null_count() > 0) return false;
  const size_t n = column.length();
  const bool signed64 = column.type_id() == arrow::Type::INT64;
  if (!signed64 && column.type_id() != arrow::Type::UINT64) return false;
  const auto* bits = signed64
                         ? reinterpret_cast<const uint64_t*>(static_cast<const arrow::Int64Array&>(column).raw_values())
                         : static_cast<const arrow::UInt64Array&>(column).raw_values();
  rule_.OfIntegers(bits, n, AppendSingle(n, out));
  return true;
}

// The same for indices of 32 bits into a dictionary, neither with nulls.
bool SparseColumn::ExtractIndices(const arrow::DictionaryArray& column, const DictionaryKeys& dictionary,
                                  Jagged* out) const {
  if (!dictionary.whole || column.null_count() > 0 || column.indices()->type_id() != arrow::Type::INT32) return false;
  const size_t n = column.length();
  const int32_t* indices = static_cast<const arrow::Int32Array&>(*column.indices()).raw_values();
  // KeysOf() says what is wrong.
  if (!AllBelow(static_cast<int64_t>(dictionary.keys.size()), {indices, n})) return false;
  uint64_t* keys = AppendSingle(n, out);
  for (size_t i = 0; i < n; ++i) keys[i] = dictionary.keys[indices[i]];
  return true;
}

Status SparseColumn::ExtractSingle(const arrow::Array& column, Jagged* out, int64_t first_row, std::vector<BadRow>* bad,
                                   DictionaryKeys* kept) const {
  if (ExtractIntegers(column, out)) return Status();
  if (kept != nullptr && column.type_id() == arrow::Type::DICTIONARY) {
    const auto& indexed = static_cast<const arrow::DictionaryArray&>(column);
    WEIR_RETURN_IF_ERROR(HashDictionary(indexed, kept));
    if (ExtractIndices(indexed, *kept, out)) return Status();
  }
  const int64_t n = column.length();
  const size_t before = out->values.size();
  out->values.resize(before + n);
  std::vector<Cell> cells(n);
  WEIR_RETURN_IF_ERROR(KeysOf(column, out->values.data() + before, cells.data(), kept));
  uint64_t* keys = out->values.data() + before;
  int64_t found = 0;
  const size_t first_offset = out->offsets.size();
  out->offsets.resize(first_offset + n);
  int32_t* ends = out->offsets.data() + first_offset;
  for (int64_t i = 0; i < n; ++i) {
    if (cells[i] == Cell::kValue) [[likely]] {
      keys[found++] = keys[i];
    } else {
      if (cells[i] == Cell::kBad) MarkBad(column, i, first_row, bad);
      if (default_key_) keys[found++] = *default_key_;
    }
    ends[i] = static_cast<int32_t>(before + found);
  }
  out->values.resize(before + found);
  return Status();
}

Status SparseColumn::ExtractSplit(const arrow::Array& column, Jagged* out, int64_t first_row,
                                  std::vector<BadRow>* bad) const {
  const int64_t n = column.length();
  std::vector<std::string_view> strings(n);
  std::vector<Cell> cells(n);
  WEIR_RETURN_IF_ERROR(ReadStrings(column, strings.data(), cells.data()).Wrap(column_));
  for (int64_t i = 0; i < n; ++i) {
    if (cells[i] == Cell::kMissing) AppendDefault(out);
    const size_t before = out->values.size();
    ForEachPart(cells[i] == Cell::kMissing ? std::string_view() : strings[i], split_, [&](std::string_view part) {
      if (part.empty() && in_group_) {
        const bool has_default = AppendDefaultInside(column, i, out, first_row, bad);
        if (!has_default) out->values.resize(before);
        return has_default;
      }
      if (part.empty()) return true;
      auto key = OfText(part);
      if (key.ok()) {
        out->values.push_back(*key);
        return true;
      }
      out->values.resize(before);
      AppendDefault(out);
      MarkBad(column, i, first_row, bad);
      return false;
    });
    out->EndSample();
  }
  return Status();
}

Status SparseColumn::ExtractLists(const arrow::Array& column, Jagged* out, int64_t first_row,
                                  std::vector<BadRow>* bad) const {
  const int64_t n = column.length();
  std::vector<int64_t> bounds;
  const std::shared_ptr<arrow::Array> elements = ListElements(column, &bounds);
  std::vector<uint64_t> keys(elements->length());
  std::vector<Cell> cells(elements->length());
  WEIR_RETURN_IF_ERROR(KeysOf(*elements, keys.data(), cells.data()));
  for (int64_t i = 0; i < n; ++i) {
    const size_t before = out->values.size();
    if (column.IsNull(i)) {
      AppendDefault(out);
    } else {
      for (int64_t j = bounds[i]; j < bounds[i + 1]; ++j) {
        if (cells[j] == Cell::kValue) out->values.push_back(keys[j]);
        if (cells[j] == Cell::kMissing && in_group_ && !AppendDefaultInside(column, i, out, first_row, bad)) {
          out->values.resize(before);
          break;
        }
        if (cells[j] == Cell::kBad) {
          MarkBad(column, i, first_row, bad);
          out->values.resize(before);
          AppendDefault(out);
          break;
        }
      }
    }
    out->EndSample();
  }
  return Status();
}

bool SparseColumn::AppendDefaultInside(const arrow::Array& column, int64_t i, Jagged* out, int64_t first_row,
                                       std::vector<BadRow>* bad) const {
  if (default_key_) {
    out->values.push_back(*default_key_);
  } else {
    bad->push_back({first_row + i, column_, "has a missing value inside its sequence", CellText(column, i)});
  }
  return default_key_.has_value();
}

Status SparseColumn::ReadValues(const arrow::Array& column, Values* out) const {
  const int64_t n = column.length();
  out->missing.resize(n);
  for (int64_t i = 0; i < n; ++i) out->missing[i] = column.IsNull(i);
  if (!split_.empty()) {
    std::vector<std::string_view> strings(n);
    std::vector<Cell> cells(n);
    WEIR_RETURN_IF_ERROR(ReadStrings(column, strings.data(), cells.data()).Wrap(column_));
    out->bounds = {0};
    for (int64_t i = 0; i < n; ++i) {
      ForEachPart(out->missing[i] ? std::string_view() : strings[i], split_, [&](std::string_view part) {
        const Result<uint64_t> key = part.empty() ? Result<uint64_t>(0) : OfText(part);
        out->keys.push_back(key.ok() ? *key : 0);
        out->cells.push_back(part.empty() ? Cell::kMissing : key.ok() ? Cell::kValue : Cell::kBad);
        return true;
      });
      out->bounds.push_back(static_cast<int64_t>(out->keys.size()));
    }
    return Status();
  }
  auto read = [&](const arrow::Array& values) {
    out->keys.resize(values.length());
    out->cells.resize(values.length());
    return KeysOf(values, out->keys.data(), out->cells.data());
  };
  if (IsListType(*column.type())) return read(*ListElements(column, &out->bounds));
  out->single = true;
  out->bounds.resize(n + 1);
  std::iota(out->bounds.begin(), out->bounds.end(), int64_t{0});
  return read(column);
}

SparseColumn::RowFault SparseColumn::AppendWeighted(const Values& values, const ValueWeights& weights, int64_t i,
                                                    Jagged* out) const {
  const bool no_list = values.missing[i] && !values.single;
  const int64_t first = values.bounds[i], first_weight = weights.bounds[i];
  const int64_t size = no_list ? 0 : values.bounds[i + 1] - first;
  const int64_t num_weights = weights.missing[i] && !values.single ? 0 : weights.bounds[i + 1] - first_weight;
  if (num_weights != size) return RowFault::kCount;
  for (int64_t v = 0; v < size; ++v) {
    const Cell value = values.cells[first + v], weight = weights.cells[first_weight + v];
    if (value == Cell::kBad) return RowFault::kValue;
    if (value == Cell::kMissing && !(values.single && default_key_)) continue;
    if (weight == Cell::kBad) return RowFault::kBadWeight;
    if (weight == Cell::kMissing && value == Cell::kValue) return RowFault::kNoWeight;
    out->values.push_back(value == Cell::kValue ? values.keys[first + v] : *default_key_);
    out->weights.push_back(weight == Cell::kValue ? weights.weights[first_weight + v] : 1.0f);
  }
  if (no_list) AppendDefault(out);
  return RowFault::kNone;
}

Status SparseColumn::ExtractWeighted(const arrow::Array& column, const arrow::Array& weight_column, Jagged* out,
                                     int64_t first_row, std::vector<BadRow>* bad) const {
  constexpr const char* kReasons[] = {"", "", "has another number of weights than there are values", "is missing",
                                      "is no finite number"};
  Values values;
  ValueWeights weights;
  WEIR_RETURN_IF_ERROR(ReadValues(column, &values));
  WEIR_RETURN_IF_ERROR(weights_->Read(weight_column, &weights));
  for (int64_t i = 0; i < column.length(); ++i) {
    const size_t before = out->values.size();
    const RowFault fault = AppendWeighted(values, weights, i, out);
    if (fault != RowFault::kNone) {
      out->values.resize(before);
      out->weights.resize(before);
      AppendDefault(out);
    }
    if (fault == RowFault::kValue) {
      MarkBad(column, i, first_row, bad);
    } else if (fault != RowFault::kNone) {
      bad->push_back(
          {first_row + i, weights_->column(), kReasons[static_cast<int>(fault)], CellText(weight_column, i)});
    }
    out->EndSample();
  }
  return Status();
}

Status SparseColumn::Extract(const arrow::Array& column, const arrow::Array* weights, Jagged* out, int64_t first_row,
                             std::vector<BadRow>* bad, DictionaryKeys* kept) const {
  if (weights_) return ExtractWeighted(column, *weights, out, first_row, bad);
  if (!split_.empty()) return ExtractSplit(column, out, first_row, bad);
  if (IsListType(*column.type())) return ExtractLists(column, out, first_row, bad);
  return ExtractSingle(column, out, first_row, bad, kept);
}

}  // namespace weir
