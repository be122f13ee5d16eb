// What the tables of a job will take in memory, as far as the job tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embeddings/table_set.h"
#include "proto/job.pb.h"

namespace weir {

// Of one table.
struct PredictedMemory {
  std::string table;
  int dim = 0;
  int state_width = 0;    // floats of optimizer state a row
  int64_t row_bytes = 0;  // key, last step, count, weights and state, without the index
  // The most rows the table can get, when every feature that looks it up has a bound (buckets or boundaries).
  std::optional<uint64_t> rows_max;
};

// One per table, in the job's order. `job` is resolved.
std::vector<PredictedMemory> PredictTableMemory(const Job& job);

}  // namespace weir
