// ArrowColumns: the ParquetColumns that FlatColumn does not read, by Arrow's own reader: lists, structs, dictionaries
// of Arrow's, times, decimals.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "data_loader/formats/parquet_column.h"

namespace parquet {
class ParquetFileReader;
}

namespace weir {

// The columns of one row group from row `begin` on. Pages that lie wholly before it are passed over where values are
// rows; those of lists and structs are decoded and dropped.
class ArrowColumns {
 public:
  // Throws what Parquet throws.
  ArrowColumns(std::shared_ptr<parquet::ParquetFileReader> file, int group, int64_t begin);
  ~ArrowColumns();

  // field: a column of the schema's top; `leaf`: the first leaf below it. The column must not outlive this.
  Result<std::unique_ptr<ParquetColumn>> Open(int field, int leaf);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weir
