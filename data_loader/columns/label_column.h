// LabelColumn and WeightColumn: what is to be predicted, and how much each sample counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"
#include "proto/job.pb.h"

namespace weir {

// Immutable; thread-safe.
class LabelColumn {
 public:
  // InvalidArgument when `type` cannot hold the label as it is declared.
  static Result<LabelColumn> Make(const LabelConfig& config, const arrow::DataType& type, bool text);

  // out: [column.length()], in [0, 1]. Missing labels and values that mean neither 0 nor 1 are appended to *bad, with 0
  // in their place; rows in *bad count from first_row.
  Status Extract(const arrow::Array& column, float* out, int64_t first_row, std::vector<BadRow>* bad) const;

 private:
  Status ExtractNumbers(const arrow::Array& column, float* out, int64_t first_row, std::vector<BadRow>* bad) const;
  Status ExtractStrings(const arrow::Array& column, float* out, int64_t first_row, std::vector<BadRow>* bad) const;

  std::string column_;
  bool strings_ = false;  // compared as strings, else as numbers
  bool named_ = false;    // positive (and negative) values are named
  std::vector<std::string> positive_, negative_;
  std::vector<double> positive_numbers_, negative_numbers_;
  std::optional<double> at_least_;
};

// Immutable; thread-safe.
class WeightColumn {
 public:
  // InvalidArgument when `type` holds no numbers.
  static Result<WeightColumn> Make(const std::string& column, const arrow::DataType& type, bool text);

  // out: [column.length()], > 0. Weights that are missing, not finite or not above 0 are appended to *bad, with 1 in
  // their place.
  Status Extract(const arrow::Array& column, float* out, int64_t first_row, std::vector<BadRow>* bad) const;

 private:
  std::string column_;
};

}  // namespace weir
