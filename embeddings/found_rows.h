// FoundRows: where a pull found the rows of its keys. The push that answers it then need not look for them again.
#pragma once

#include <cstdint>
#include <vector>

namespace weir {

// Of one table.
struct FoundRows {
  std::vector<uint32_t> rows;  // by key; kNoRow: it had none
  uint64_t num_erased = 0;     // rows that the table had erased by then
};

}  // namespace weir
