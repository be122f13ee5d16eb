#include "embeddings/slab_pool.h"

#include <sys/mman.h>

#include <glog/logging.h>

namespace weir {

char* SlabPool::Take(bool small_pages) {
  if (free_.empty()) {
    regions_.emplace_back(kRegionBlocks * kBlockBytes);
    for (size_t i = kRegionBlocks; i > 0; --i) free_.push_back(regions_.back().data() + (i - 1) * kBlockBytes);
  }
  char* block = free_.back();
  free_.pop_back();
  ++taken_;
  // Advice only: a kernel without huge pages refuses it, and nothing but speed is lost.
  (void)::madvise(block, kBlockBytes, small_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  return block;
}

void SlabPool::GiveBack(char* block) {
  // The pages go back to the system and come again zeroed.
  PCHECK(::madvise(block, kBlockBytes, MADV_DONTNEED) == 0);
  free_.push_back(block);
  --taken_;
}

}  // namespace weir
