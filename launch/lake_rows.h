// LakeRows: the rows of a source's files, front to back, for commands that look at data without training.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/formats/lake_file.h"
#include "proto/job.pb.h"

namespace weir {

using LakeFiles = std::vector<std::unique_ptr<LakeFile>>;

// The files of a source, at least one. InvalidArgument where one lacks a column of the first or has it with another
// type, or where two columns of the first share a name; Aborted when a signal asked to stop.
Result<LakeFiles> OpenLakeFiles(const DataConfig& config, const SourceConfig& source);

// Rows [0, rows) of a row group.
struct RowGroupPart {
  size_t file = 0;
  int group = 0;
  int64_t rows = 0;
};

// Every row group, whole.
std::vector<RowGroupPart> WholeRowGroups(const LakeFiles& files);

// One thread. The files outlive it.
class LakeRows {
 public:
  // Batches have all columns of the first file, in its order.
  LakeRows(const LakeFiles* files, std::vector<RowGroupPart> parts, int64_t batch_rows);

  // At most batch_rows rows; null after the last.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();

  // The file that the last batch was of, and where in it the batch began.
  const std::string& path() const { return (*files_)[batch_file_]->path(); }
  int64_t first_row() const { return batch_first_row_; }

 private:
  const LakeFiles* const files_;
  const std::vector<RowGroupPart> parts_;
  const int64_t batch_rows_;
  const std::vector<std::string> columns_;
  size_t part_ = 0;
  std::unique_ptr<RowReader> reader_;  // of parts_[part_]
  int64_t row_ = 0;                    // of that part: the next
  size_t batch_file_ = 0;
  int64_t batch_first_row_ = 0;
};

}  // namespace weir
