#include "embeddings/mapped_memory.h"

#include <sys/mman.h>

#include <cstdint>

#include <glog/logging.h>

namespace weir {

MappedMemory::MappedMemory(size_t size_bytes) {
  size_bytes_ = (size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const bool huge = size_bytes_ >= kHugePageBytes;
  // The system aligns to small pages: map one huge page more and give both ends back.
  const size_t mapped_bytes = size_bytes_ + (huge ? kHugePageBytes : 0);
  void* mapped = ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  PCHECK(mapped != MAP_FAILED) << "expected " << mapped_bytes << " bytes of memory for a table, the system has none";
  data_ = static_cast<char*>(mapped);
  if (!huge) return;
  const size_t before = (kHugePageBytes - reinterpret_cast<uintptr_t>(data_) % kHugePageBytes) % kHugePageBytes;
  if (before > 0) PCHECK(::munmap(data_, before) == 0);
  data_ += before;
  if (before < kHugePageBytes) PCHECK(::munmap(data_ + size_bytes_, kHugePageBytes - before) == 0);
  // Advice only: kernels without huge pages refuse it and nothing but speed is lost.
  (void)::madvise(data_, size_bytes_, MADV_HUGEPAGE);
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) PCHECK(::munmap(data_, size_bytes_) == 0);
}

}  // namespace weir
