// ParquetRows: a RowReader of Parquet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include "base/status.h"
#include "data_loader/formats/lake_file.h"

namespace weir {

struct OpenParquet {
  std::string path;  // for messages
  std::shared_ptr<arrow::io::RandomAccessFile> bytes;
  parquet::ReaderProperties properties;
  std::shared_ptr<parquet::ParquetFileReader> reader;
};

// Rows [begin, end) of the row group, of the named columns, in batches of batch_rows; `schema`: the file's.
// Messages name path, row group and column. Holds a page or two of each column at a time. Throws what Parquet throws.
Result<std::unique_ptr<RowReader>> ReadParquetRows(OpenParquet file, int group, int64_t begin, int64_t end,
                                                   const arrow::Schema& schema, const std::vector<std::string>& columns,
                                                   int64_t batch_rows);

}  // namespace weir
