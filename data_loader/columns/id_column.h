// IdColumn: what names each row of the lake in the ledger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "batch/sample_ids.h"
#include "data_loader/columns/bad_rows.h"

namespace weir {

// Longer ids are refused: the ledger holds one for every sample.
constexpr int64_t kIdBytesMax = 1024;

// Immutable; thread-safe.
class IdColumn {
 public:
  // InvalidArgument unless `type` is of integers or strings, or a dictionary of them.
  static Result<IdColumn> Make(const std::string& column, const arrow::DataType& type);

  // Appends one id a row: decimal for integers, strings as they are. Missing and too long ones are appended to *bad and
  // are empty; rows in *bad count from first_row.
  Status Extract(const arrow::Array& column, SampleIds* out, int64_t first_row, std::vector<BadRow>* bad) const;

 private:
  std::string column_;
};

}  // namespace weir
