// LakeStatistics: what the columns of a data source are like.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/lake_stats/column_statistics.h"
#include "proto/job.pb.h"

namespace weir {

struct LakeSummary {
  std::vector<std::string> uris;
  int64_t files = 0;
  int64_t rows = 0;       // in the files
  int64_t rows_read = 0;  // that the columns' summaries are of
  std::vector<ColumnSummary> columns;
};

// Reads all files of `source`, written as `config` says, in their order, through the loader; one thread decodes while
// others count. rows_max: about as many rows are read, spread evenly over the row groups; 0: all. Progress goes to
// stderr. InvalidArgument where a file lacks a column of the first or has it with another type; Aborted when a signal
// asked to stop. Memory: a row group of CSV or a page of each column, a few record batches, and a MB a column.
Result<LakeSummary> ReadLakeStatistics(const DataConfig& config, const SourceConfig& source, int64_t rows_max);

}  // namespace weir
