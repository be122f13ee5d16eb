// What the tables of a job will take in memory, as far as the job tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/table_set.h"
#include "proto/job.pb.h"

namespace weir {

struct PredictedMemory {
  std::string table;
  int dim = 0;
  int state_width = 0;    // floats of optimizer state a row
  int64_t row_bytes = 0;  // last step, count, weights and state
  // Of the index, per row: with segments as full as they get, and just after they have grown.
  double index_bytes_min = 0;
  double index_bytes_max = 0;
  int64_t filter_bytes = 0;  // of admission
  // The most rows the table can get, when every feature that looks it up has a bound (buckets or boundaries).
  std::optional<uint64_t> keys_max;
  // tables.memory, and the most rows that it holds over all owners.
  std::optional<int64_t> budget_bytes;
  std::optional<int64_t> budget_rows;

  // What the table can grow to, at worst; nothing when it grows with its keys.
  std::optional<int64_t> bytes_max() const;
};

// One per table, in the job's order. `job` is resolved.
std::vector<PredictedMemory> PredictTableMemory(const Job& job);

// InvalidArgument when the memory of a table does not hold a row in each virtual shard, with what it would have to be.
Status CheckTableMemory(const Job& job);

}  // namespace weir
