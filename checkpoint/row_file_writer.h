// Writes one row file: rows of one table by ascending (virtual shard, key), block by block.
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

// One thread. Memory: one block, beside the caller's. After an error the file is of no use.
class RowFileWriter {
 public:
  static Result<std::unique_ptr<RowFileWriter>> Create(FileSystem* file_system, const std::string& folder,
                                                       const std::string& name, RowFileHeader header);
  ~RowFileWriter();

  // One record batch. The block is in the order of TableSet::Scan, and has at most kRowsPerBatchMax rows.
  Status Append(const RowBlock& block);

  // Ends and syncs the file. Call last, once.
  Result<DataFile> Finish();

 private:
  struct Stream;
  RowFileWriter(RowFileHeader header, std::string name, std::unique_ptr<Stream> stream);
  void SplitColumns(const RowBlock& block);
  void NarrowWeights(const float* weights, int64_t size);

  const RowFileHeader header_;
  const std::string name_;
  const std::vector<StateColumn> columns_;
  const std::unique_ptr<Stream> stream_;
  std::vector<std::vector<float>> values_;  // one per column, each [rows, width]; unused when weights are all
  std::vector<uint16_t> bfloat16_;          // the weights [rows, dim], where they are stored so
  uint64_t rows_ = 0;
};

}  // namespace weir
