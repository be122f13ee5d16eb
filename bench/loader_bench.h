// The parts of loader_bench, one file each. Each prints its JSON lines.
#pragma once

#include <cstdint>
#include <string>

namespace weir::bench {

// Reads all rows of the file or folder as a worker does that trains (shuffled) or evaluates; returns how many it got.
int64_t ReadAll(const std::string& uri, bool shuffle, int worker = 0, int num_workers = 1);

// Peak memory of a process that reads a file of large_bytes against one of 100 MB.
void MemoryBench(int64_t large_bytes);
// What such a process does: reads the file.
void MemoryChild(const std::string& path, bool shuffle);

}  // namespace weir::bench
