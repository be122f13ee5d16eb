// VectorColumn: a numeric feature of several numbers, from a column of lists (or of strings to be split) to floats.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"
#include "data_loader/columns/numeric_column.h"
#include "proto/job.pb.h"

namespace weir {

// Immutable; thread-safe.
class VectorColumn {
 public:
  // feature.numeric.length is at least 1. InvalidArgument when `type` holds no lists of numbers (with split: no
  // strings).
  static Result<VectorColumn> Make(const FeatureConfig& feature, const arrow::DataType& type, bool text);

  // Writes the numbers of row i to out[i * stride ..]; a missing vector has the default everywhere. Rows with another
  // number of them, with one missing or one that a NumericColumn finds bad are appended to *bad, with the default in
  // their place; rows in *bad count from first_row.
  Status Extract(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                 std::vector<BadRow>* bad) const;

 private:
  VectorColumn(NumericColumn numbers, float missing, const FeatureConfig& feature)
      : numbers_(std::move(numbers)),
        missing_(missing),
        column_(feature.column()),
        length_(feature.numeric().length()),
        split_(feature.numeric().split()) {}

  NumericColumn numbers_;
  float missing_;  // what a missing number becomes
  std::string column_;
  int64_t length_;
  std::string split_;  // empty for lists
};

}  // namespace weir
