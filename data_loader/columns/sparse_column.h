// SparseColumn: one sparse feature, from an Arrow column to keys.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "batch/jagged.h"
#include "data_loader/columns/bad_rows.h"
#include "data_loader/columns/cells.h"
#include "data_loader/columns/key.h"
#include "data_loader/columns/value_weights.h"
#include "proto/job.pb.h"

namespace weir {

// ResourceExhausted when one batch or block would hold more values of a column than its offsets of 32 bits can tell.
Status CheckValueCount(uint64_t values, int64_t rows, const std::string& column);

// The keys of a dictionary's entries, kept from one extraction to the next while rows come with the same dictionary.
// One thread.
struct DictionaryKeys {
  std::shared_ptr<arrow::ArrayData> dictionary;  // what they are of; null before the first
  std::vector<uint64_t> keys;
  std::vector<Cell> cells;
  bool whole = false;  // all cells are values
};

// Immutable; thread-safe.
//
// A column holds single values or lists of them: integers, strings, or a dictionary of either; floats only with
// `boundaries`. A null (or, in text, empty) value has the feature's default or no key; in a list, nulls have no key and
// an empty list has none either. A string that is split yields a key for each part that is not empty. With a weight
// column each key has the weight at its value's place; a default that stands for a whole list has weight 1, and so has
// any other default without a weight.
class SparseColumn {
 public:
  enum class Kind { kInteger, kString, kFloating };

  // text: values are parsed as the feature's type says (strings by default). weight_type: of the weight column, null
  // without one. InvalidArgument when the feature cannot be read from `type`, its default cannot be, or the weights do
  // not go along with it.
  static Result<SparseColumn> Make(const FeatureConfig& feature, const arrow::DataType& type, bool text,
                                   const arrow::DataType* weight_type = nullptr);

  // Appends one sample a row. weights: the same rows of the weight column, null without one. What cannot be read, and
  // rows with another number of weights than values, are appended to *bad and have the default (with the weight 1) or
  // no key; rows in *bad count from first_row. kept: of the calls before for this feature; null to keep none.
  Status Extract(const arrow::Array& column, const arrow::Array* weights, Jagged* out, int64_t first_row,
                 std::vector<BadRow>* bad, DictionaryKeys* kept = nullptr) const;

  // Whether a column of single values may as well come as a dictionary of them, whatever its type is.
  bool AcceptsDictionary() const { return !weights_ && split_.empty(); }

  // What is hashed: two files of a source must agree.
  Kind kind() const { return kind_; }
  const std::string& feature() const { return feature_; }

  // The bucket of x: the number of boundaries at or below it.
  static uint64_t Bucketize(double x, const std::vector<double>& boundaries);

 private:
  // The keys of some rows, end to end, as ValueWeights has the weights.
  struct Values {
    std::vector<uint64_t> keys;
    std::vector<Cell> cells;
    std::vector<int64_t> bounds;
    bool single = false;        // each row has one value, which may be missing
    std::vector<bool> missing;  // of each row, as a whole
  };

  // What a row with weights may have: a value that cannot be read, or weights.
  enum class RowFault { kNone, kValue, kCount, kNoWeight, kBadWeight };

  explicit SparseColumn(KeyRule rule) : rule_(rule) {}

  uint64_t OfNumber(double x) const { return rule_.OfInteger(Bucketize(x, boundaries_)); }
  Result<uint64_t> OfText(std::string_view text) const;
  // [values.length()] each: the key of every value.
  Status KeysOf(const arrow::Array& values, uint64_t* keys, Cell* cells, DictionaryKeys* kept = nullptr) const;
  Status KeysOfDictionary(const arrow::DictionaryArray& values, uint64_t* keys, Cell* cells,
                          DictionaryKeys* kept) const;
  Status HashDictionary(const arrow::DictionaryArray& values, DictionaryKeys* out) const;
  bool ExtractIntegers(const arrow::Array& column, Jagged* out) const;
  bool ExtractIndices(const arrow::DictionaryArray& column, const DictionaryKeys& dictionary, Jagged* out) const;
  Status ExtractSingle(const arrow::Array& column, Jagged* out, int64_t first_row, std::vector<BadRow>* bad,
                       DictionaryKeys* kept) const;
  Status ExtractSplit(const arrow::Array& column, Jagged* out, int64_t first_row, std::vector<BadRow>* bad) const;
  Status ExtractLists(const arrow::Array& column, Jagged* out, int64_t first_row, std::vector<BadRow>* bad) const;
  Status ExtractWeighted(const arrow::Array& column, const arrow::Array& weight_column, Jagged* out, int64_t first_row,
                         std::vector<BadRow>* bad) const;
  Status ReadValues(const arrow::Array& column, Values* out) const;
  // Appends the keys and weights of row i, as far as there is no fault.
  RowFault AppendWeighted(const Values& values, const ValueWeights& weights, int64_t i, Jagged* out) const;
  // The default, if there is one: of what is missing as a whole or bad. Not in a group, where one value would be
  // another length.
  void AppendDefault(Jagged* out) const;
  // Of a group: a value that is missing inside row i has the default. False, and the row in *bad, without one.
  bool AppendDefaultInside(const arrow::Array& column, int64_t i, Jagged* out, int64_t first_row,
                           std::vector<BadRow>* bad) const;
  void MarkBad(const arrow::Array& column, int64_t i, int64_t first_row, std::vector<BadRow>* bad) const;

  KeyRule rule_;
  std::string feature_;
  std::string column_;
  Kind kind_ = Kind::kInteger;
  bool text_ = false;
  std::vector<double> boundaries_;
  std::string split_;
  bool in_group_ = false;  // values stand beside those of other features: none is left out
  std::optional<uint64_t> default_key_;
  std::optional<ValueWeightColumn> weights_;
};

}  // namespace weir
