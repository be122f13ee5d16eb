// Predict: a score for every row of a data set, from a checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

struct PredictOptions {
  std::string checkpoint;            // a step-N folder
  std::string out;                   // the Parquet file to write; must not exist
  std::vector<std::string> columns;  // of the data, written before the score
  int64_t batch_rows = 8192;
  // Told of the rows scored so far.
  std::function<void(int64_t rows)> on_progress = [](int64_t) {};
};

struct PredictReport {
  int64_t rows = 0;
  int64_t bad_rows = 0;  // have a null score
};

// Reads job.data.eval in the order of its files and writes one row for each of theirs: `columns` as they are and
// `score` (float32, the probability of label 1; null for a row with a value that cannot be used). `job` is the
// checkpoint's, perhaps with other data. The file appears under its name once it is complete. Memory: the tables and a few
// batches.
Result<PredictReport> Predict(FileSystem* file_system, const Job& job, const PredictOptions& options);

}  // namespace weir
