// TableSpec: what a table is made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embeddings/row_layout.h"
#include "proto/job.pb.h"

namespace weir {

// The seed is a function of (train.seed, table name).
struct TableSpec {
  std::string name;
  RowLayout layout;
  InitializerConfig initializer;
  OptimizerConfig optimizer;
  uint64_t seed = 0;
  int64_t memory_bytes = 0;  // over all owners; 0: as many as it needs
  std::string disk_path{};   // where rows go that memory cannot hold; empty: nowhere
};

// One per table of a resolved job, in its order.
std::vector<TableSpec> TableSpecsFromJob(const Job& job);

}  // namespace weir
