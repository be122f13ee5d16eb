// RowFiles: how the owner of tables writes and reads its rows, without knowing the format. checkpoint/ implements it; a
// local store and a server are given one.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/table_set.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// The virtual shards [begin, end).
struct ShardRange {
  int begin = 0;
  int end = 0;
};

// Thread-safe.
class RowFiles {
 public:
  virtual ~RowFiles() = default;

  // Writes every table's rows of `shards` into `folder`, synced. `writer` makes the files' names differ between owners.
  // `on_block` is told of each block written, so that a long save shows as progress.
  virtual Result<std::vector<DataFile>> Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                                              const std::string& writer, const std::function<void()>& on_block) = 0;

  // Adds to `tables` the rows of `files` that belong to `shards`, checking sizes, checksums and layouts.
  virtual Status Read(const std::string& folder, std::span<const DataFile> files, ShardRange shards, TableSet* tables,
                      const std::function<void()>& on_block) = 0;
};

}  // namespace weir
