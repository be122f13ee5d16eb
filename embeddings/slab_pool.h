// SlabPool: the memory of all tables of one owner, in blocks of one size on huge pages, under one count of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "embeddings/mapped_memory.h"

namespace weir {

// Blocks are mapped a few at a time and go back to the pool, not to the system: another table takes them. Not
// thread-safe; outlives what took blocks from it. Ends the process when the system has no memory: rows cannot be
// dropped.
class SlabPool {
 public:
  static constexpr size_t kBlockBytes = kHugePageBytes;

  SlabPool() = default;
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // A zeroed block. With small pages it takes memory page by page as it is written, for a table that may stay small.
  char* Take(bool small_pages = false);
  void GiveBack(char* block);

  // Of blocks taken and not given back.
  int64_t bytes() const { return taken_ * static_cast<int64_t>(kBlockBytes); }

 private:
  static constexpr size_t kRegionBlocks = 8;

  std::vector<MappedMemory> regions_;
  std::vector<char*> free_;
  int64_t taken_ = 0;
};

}  // namespace weir
