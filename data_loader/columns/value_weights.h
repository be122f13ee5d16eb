// ValueWeightColumn: the weights of a sparse feature's values, which WEIGHTED_SUM multiplies their rows by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/cells.h"
#include "proto/job.pb.h"

namespace weir {

// The weights of some rows, end to end: those of row i at [bounds[i], bounds[i+1]).
struct ValueWeights {
  std::vector<float> weights;   // under kValue finite
  std::vector<Cell> cells;      // of each weight; kBad is no number, or none that a float holds
  std::vector<int64_t> bounds;  // [rows + 1]
  std::vector<bool> missing;    // [rows]: the row as a whole; what lies in its bounds means nothing then
};

// Immutable; thread-safe.
//
// Of the same form as the feature's column: lists of numbers beside lists, one number beside a single value, a string
// of numbers with the same separator beside a string that is split.
class ValueWeightColumn {
 public:
  // values: the type of the feature's column; type: of the weights'. InvalidArgument when they do not go together.
  static Result<ValueWeightColumn> Make(const FeatureConfig& feature, const arrow::DataType& values,
                                        const arrow::DataType& type, bool text);

  Status Read(const arrow::Array& column, ValueWeights* out) const;

  const std::string& column() const { return column_; }

 private:
  Status ReadNumbersOf(const arrow::Array& numbers, ValueWeights* out) const;
  Status ReadSplit(const arrow::Array& column, ValueWeights* out) const;

  std::string column_;
  std::string split_;  // empty where strings are not split
};

}  // namespace weir
