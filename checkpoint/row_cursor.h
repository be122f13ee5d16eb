// Walks all rows of one table of a checkpoint by ascending (virtual shard, key), whatever files they lie in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "checkpoint/row_file_reader.h"

namespace weir {

// One thread. Memory: one record batch. file_system must outlive it.
class RowCursor {
 public:
  RowCursor(FileSystem* file_system, std::string folder, std::vector<DataFile> files, RowLayout layout,
            int virtual_shards);

  // To the first row, then to each next one; AtEnd() after the last.
  Status Advance();
  bool AtEnd() const { return at_end_; }

  // Of the row it stands on.
  uint64_t key() const { return batch_.keys[row_]; }
  int shard() const { return shard_; }
  int64_t last_step() const { return batch_.last_steps[row_]; }
  uint64_t count() const { return batch_.counts[row_]; }
  // [columns()[column].width] floats.
  const float* values(int column) const { return batch_.columns[column] + row_ * columns_[column].width; }
  const std::vector<StateColumn>& columns() const { return columns_; }

  // Whether this row comes before the other's.
  bool Before(const RowCursor& other) const {
    return shard_ != other.shard_ ? shard_ < other.shard_ : key() < other.key();
  }

 private:
  FileSystem* const file_system_;
  const std::string folder_;
  const std::vector<DataFile> files_;
  const RowLayout layout_;
  const std::vector<StateColumn> columns_;
  const int virtual_shards_;
  size_t next_file_ = 0;
  std::unique_ptr<RowFileReader> reader_;
  RowBatch batch_;
  int64_t row_ = -1;
  int shard_ = -1;
  bool at_end_ = false;
};

}  // namespace weir
