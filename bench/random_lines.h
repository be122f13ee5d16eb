// RandomLines: the limit that tables are held to: independent reads of random cache lines.
#pragma once

#include <cstdint>
#include <vector>

#include "embeddings/mapped_memory.h"

namespace weir::bench {

// Over as many bytes as the table under test, on huge pages, prefetched 32 deep.
class RandomLines {
 public:
  explicit RandomLines(int64_t bytes);

  // Nanoseconds a line.
  double Run() const;

 private:
  int64_t lines_;
  MappedMemory memory_;
  std::vector<uint32_t> order_;
};

}  // namespace weir::bench
