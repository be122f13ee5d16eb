// ParquetColumn: the values of one column of a Parquet row group, front to back.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/type_fwd.h>

#include "base/status.h"

namespace weir {

// One thread. Holds a page or two of the column, not the row group. Errors do not name the place; it throws what
// Parquet throws, too.
class ParquetColumn {
 public:
  virtual ~ParquetColumn() = default;

  // The next `rows` rows. DataLoss when there are fewer. The array's memory is used again once nobody holds it.
  virtual Result<std::shared_ptr<arrow::Array>> Read(int64_t rows) = 0;
  // From the next Read() on the values may come as a dictionary of them, with indices of 32 bits, where they lie so in
  // the file.
  virtual void AcceptDictionary() {}
};

}  // namespace weir
