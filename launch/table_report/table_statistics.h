// TableStatistics: what the rows of a table in a checkpoint are like, from one pass over its files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/row_layout.h"
#include "launch/report/distribution.h"
#include "proto/checkpoint.pb.h"

namespace weir {

struct TableStatistics {
  std::string table;
  RowLayout layout;
  int64_t rows = 0;

  // In the memory of the owners, not in the files.
  int64_t weight_bytes = 0;
  int64_t state_bytes = 0;  // with each row's last step and count
  int64_t index_bytes = 0;  // an estimate
  int64_t file_bytes = 0;   // in the checkpoint
  int64_t bytes() const { return weight_bytes + state_bytes + index_bytes; }

  Distribution ages;      // the checkpoint's step - last step
  Distribution counts;    // how often a row was trained
  int64_t once_rows = 0;  // count 1
  Distribution norms;     // L2, of the weights of rows whose weights are all finite
  int64_t zero_rows = 0;  // whose weights are all exactly 0
  int64_t zero_weights = 0;
  int64_t nan_weights = 0;
  int64_t infinite_weights = 0;
  int64_t broken_rows = 0;  // with a NaN or an infinity
  int64_t weights() const { return rows * layout.dim; }

  std::vector<int64_t> shard_rows;  // [virtual shards]
  int64_t shard_rows_min() const;
  int64_t shard_rows_max() const;
  double shard_rows_mean() const { return static_cast<double>(rows) / static_cast<double>(shard_rows.size()); }
};

// Bytes of an index of cache-line buckets for so many evenly hashed keys in each virtual shard (docs/tables.md).
int64_t EstimateIndexBytes(const std::vector<int64_t>& shard_rows);

// Of each table of the checkpoint at `path`, in the job's order; only of table `only` when that is not empty. Reads and
// checks every byte of their row files. Memory: one record batch, and what a TableStatistics is. `on_block` is told of
// each record batch. NotFound names the tables there are; DataLoss the file, and what was wrong with it.
Result<std::vector<TableStatistics>> ReadTableStatistics(FileSystem* file_system, const std::string& path,
                                                         const Manifest& manifest, const std::string& only,
                                                         const std::function<void(int64_t rows)>& on_block);

}  // namespace weir
