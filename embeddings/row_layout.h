// RowLayout: what a row holds and where. Table, wire, checkpoint and export are all views of this one description.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// Columns of optimizer state, `width` floats each row: width is the table's dim, or 1.
struct StateColumn {
  std::string name;  // PyTorch's: "sum", "exp_avg", "exp_avg_sq"
  int width = 0;
  float initial = 0;
};

// A row is: last step (int64), count (uint64), weights[dim], state (float32, the columns in order). Weights are kept as
// float32 or bfloat16; wherever rows pass through memory as a RowBlock they are float32, which holds both exactly.
struct RowLayout {
  int dim = 0;
  std::vector<StateColumn> state;
  TableConfig::WeightType weight_type = TableConfig::FLOAT32;

  int state_width() const {
    int width = 0;
    for (const StateColumn& column : state) width += column.width;
    return width;
  }
  // Floats per row: weights, then state.
  int width() const { return dim + state_width(); }
  int weight_bytes() const { return dim * (weight_type == TableConfig::BFLOAT16 ? 2 : 4); }
};

// "float32" or "bfloat16".
const char* WeightTypeName(TableConfig::WeightType type);

// The layout of a table of the job whose optimizer is `optimizer`.
RowLayout MakeRowLayout(int dim, const OptimizerConfig& optimizer,
                        TableConfig::WeightType weight_type = TableConfig::FLOAT32);

// A block of rows of one table in memory: what a scan hands out and a load takes. The pointers are owned by whoever
// made it and live as long as that says.
struct RowBlock {
  int64_t num_rows = 0;
  const uint64_t* keys = nullptr;       // [num_rows]
  const int64_t* last_steps = nullptr;  // [num_rows]
  const uint64_t* counts = nullptr;     // [num_rows]
  const float* values = nullptr;        // [num_rows, layout.width()], row-major
};

}  // namespace weir
