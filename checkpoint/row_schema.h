// The columns of a row file, and how a RowLayout maps to them (docs/formats.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/row_files.h"
#include "embeddings/row_layout.h"

namespace arrow {
class Schema;
}

namespace weir {

inline constexpr int kRowsPerBatchMax = 65536;
// Columns before "weights".
inline constexpr int kKeyColumn = 0;
inline constexpr int kLastStepColumn = 1;
inline constexpr int kCountColumn = 2;
inline constexpr int kFirstValueColumn = 3;

// Whose rows a file holds; stands in the schema's metadata too, so that a file can be understood without a manifest.
struct RowFileHeader {
  std::string table;
  RowLayout layout;
  ShardRange shards;
  int virtual_shards = 0;
};

// "weights", "state.sum", ... in the order of the file; initial is of no meaning here. All are float32, but for the
// weights of a layout with bfloat16 ones, which lie in the file as the 16 bits of each.
std::vector<StateColumn> ValueColumns(const RowLayout& layout);

std::shared_ptr<arrow::Schema> MakeRowSchema(const RowFileHeader& header);

// Whether a file's schema is the one `expected` makes. FailedPrecondition for another layout, type of weights or number
// of virtual shards, DataLoss for a file of another table or shards than the manifest says. `path` is for messages.
Status CheckRowSchema(const std::string& path, const arrow::Schema& found, const RowFileHeader& expected);

}  // namespace weir
