// NumericColumn: one numeric feature, from an Arrow column to floats. Transforms apply in the order default, clip, log,
// standard or min-max.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"
#include "proto/job.pb.h"

namespace weir {

// x -> min(max(x, low), high).
struct ClipTransform {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  // NaN stays NaN, and so is found to be bad.
  double operator()(double x) const { return x < low ? low : x > high ? high : x; }
};

// x -> sign(x) * ln(1 + |x|).
struct LogTransform {
  double operator()(double x) const;
};

// x -> (x - mean) / stddev.
struct StandardTransform {
  double mean = 0;
  double stddev = 1;
  double operator()(double x) const { return (x - mean) / stddev; }
};

// x -> (x - min) / (max - min).
struct MinMaxTransform {
  double min = 0;
  double max = 1;
  double operator()(double x) const { return (x - min) / (max - min); }
};

// Immutable; thread-safe.
class NumericColumn {
 public:
  // text: the column is to be parsed. InvalidArgument when `type` holds no numbers.
  static Result<NumericColumn> Make(const FeatureConfig& feature, const arrow::DataType& type, bool text);

  // Writes the value of row i to out[i * stride]. NaN, infinite and unreadable values (or values too large for a float)
  // are appended to *bad, with the default in their place (0 where that is bad itself); rows in *bad count from
  // first_row.
  Status Extract(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                 std::vector<BadRow>* bad) const;

  // The column's values where they are the feature's as they stand, numbers that are not finite among them: null where
  // there is something to convert, to fill in or to transform.
  const float* AsTheyAre(const arrow::Array& column) const;

 private:
  void TransformAll(std::span<double> values) const;
  // `out` holds the transformed values: appends the rows that are bad, and writes the default for them.
  Status MarkBad(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                 std::vector<BadRow>* bad) const;

  std::string column_;
  double default_value_ = 0;
  ClipTransform clip_;
  bool log_ = false;
  bool standardize_ = false;
  StandardTransform standard_;
  std::optional<MinMaxTransform> min_max_;
};

// out[i * stride + place] = columns[c][i] for i in [0, rows), `place` being places[c]. Returns, for each column,
// whether all of it is finite.
std::vector<bool> Interleave(std::span<const float* const> columns, std::span<const int64_t> places, int64_t rows,
                             float* out, int64_t stride);

}  // namespace weir
