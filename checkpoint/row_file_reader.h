// Reads one row file, checked: the bytes by the manifest's checksum, the columns by the layout, the rows by their
// order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "checkpoint/row_schema.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// Rows of a file, by column. Valid until the next call of the reader.
struct RowBatch {
  int64_t num_rows = 0;
  const uint64_t* keys = nullptr;       // [num_rows], by ascending (virtual shard, key)
  const int64_t* last_steps = nullptr;  // [num_rows]
  const uint64_t* counts = nullptr;     // [num_rows]
  // As ValueColumns: each [num_rows, width], row-major. bfloat16 weights are widened to float32, exactly.
  std::vector<const float*> columns;
};

// One thread. Memory: one record batch, and its bfloat16 weights widened. Errors name the file; after one the reader is
// of no use.
class RowFileReader {
 public:
  // Reads the file once whole to check it. `header` is what the file has to hold; its shards and table are the entry's.
  static Result<std::unique_ptr<RowFileReader>> Open(FileSystem* file_system, const std::string& folder,
                                                     const DataFile& entry, RowFileHeader header);
  ~RowFileReader();

  // The next rows; none (num_rows 0) after the last. DataLoss for a key out of the file's shards or out of order, which
  // includes one that stands twice, a null, or another number of rows than the entry says.
  Result<RowBatch> Next();

  const std::string& path() const { return path_; }

 private:
  struct Stream;
  RowFileReader(std::string path, RowFileHeader header, uint64_t rows_expected, std::unique_ptr<Stream> stream);
  Status View(RowBatch* rows);
  Status CheckRows(const RowBatch& rows);

  const std::string path_;
  const RowFileHeader header_;
  const uint64_t rows_expected_;
  const std::unique_ptr<Stream> stream_;
  std::vector<float> weights_;  // of the batch, widened
  int next_batch_ = 0;
  uint64_t rows_read_ = 0;
  int last_shard_ = -1;  // of the row before, with its key
  uint64_t last_key_ = 0;
};

}  // namespace weir
