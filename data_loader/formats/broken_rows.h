// Rows of a file that are broken as a whole, a CSV line with a field too many: they keep their places as rows of nulls,
// and a column that only batches with such rows have says what is wrong with them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"

namespace weir {

struct BrokenRow {
  int64_t row = 0;     // in the batch that results
  std::string reason;  // "has 2 fields, expected 3"
  std::string text;    // of the row, cut short
};

// `good` with the broken rows at their places; broken: ascending by row, not empty.
Result<std::shared_ptr<arrow::RecordBatch>> InsertBrokenRows(const arrow::RecordBatch& good,
                                                             const std::vector<BrokenRow>& broken);

// InvalidArgument for the first broken row among `rows`, which begin with row first_row of the file `path`: for readers
// that leave no row out.
Status RefuseBrokenRows(const arrow::RecordBatch& rows, int64_t first_row, const std::string& path);

// Appends the broken rows among `rows` to *bad, ascending; rows in *bad count from first_row.
Status FindBrokenRows(const arrow::RecordBatch& rows, int64_t first_row, std::vector<BadRow>* bad);

}  // namespace weir
