// TableSpec: what a table is made from.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "embeddings/consistency.h"
#include "embeddings/row_layout.h"
#include "embeddings/table_limits.h"
#include "proto/job.pb.h"

namespace weir {

// The seed is a function of (train.seed, table name).
struct TableSpec {
  std::string name;
  RowLayout layout;
  InitializerConfig initializer;
  OptimizerConfig optimizer;
  uint64_t seed = 0;
  std::string disk_path{};  // where rows go that memory cannot hold; empty: nowhere
  TableLimits limits{};
  WireConfig wire{};  // see param_server/wire_values.h
  Consistency consistency{};
};

// The mode that the strictest of the tables has: what it lets be read, all let be.
Consistency Strictest(std::span<const TableSpec> tables);

// One per table of a resolved job, in its order.
std::vector<TableSpec> TableSpecsFromJob(const Job& job);

// What every key reads that has no row and gets none; empty: its own initial weights.
std::vector<float> WeightsWithoutRow(const TableSpec& spec);

}  // namespace weir
