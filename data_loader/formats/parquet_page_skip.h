// Reading a Parquet row group from its middle: the pages before are passed over, neither unpacked nor decoded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data_loader/formats/lake_file.h"

namespace parquet {
class FileMetaData;
class ParquetFileReader;
}  // namespace parquet

namespace weir {

// Whether all leaf columns are flat (no lists, no structs), so that a page's values are rows.
bool CanSkipPages(const parquet::FileMetaData& footer, const std::vector<int>& leaves);

// Rows [begin, end) of the row group, of the leaf columns (CanSkipPages), in batches of at most batch_rows. Pages of
// different columns need not end at the same rows. `path` is for messages.
Result<std::unique_ptr<RowReader>> ReadFromMiddle(const std::string& path,
                                                  std::unique_ptr<parquet::ParquetFileReader> file, int group,
                                                  int64_t begin, int64_t end, const std::vector<int>& leaves,
                                                  int64_t batch_rows);

}  // namespace weir
