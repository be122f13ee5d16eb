#include "embeddings/row_array.h"

#include <sys/mman.h>

#include <algorithm>

#include <glog/logging.h>

namespace weir {

RowArray::RowArray(size_t stride_bytes, SlabPool* pool)
    : stride_(stride_bytes),
      pool_(pool),
      rows_per_block_(static_cast<uint32_t>(SlabPool::kBlockBytes / std::max<size_t>(stride_bytes, 1))),
      reciprocal_(~uint64_t{0} / std::max<uint32_t>(rows_per_block_, 1) + 1) {
  // A block of one row would need a reciprocal of 2^64.
  CHECK(stride_bytes > 0 && rows_per_block_ >= 2) << stride_bytes;
}

RowArray::~RowArray() {
  for (char* block : blocks_) pool_->GiveBack(block);
}

void RowArray::AddBlocks(int64_t rows) {
  while (rows_max() < rows) blocks_.push_back(pool_->Take(/*small_pages=*/blocks_.empty()));
}

void RowArray::Populate() {
  // Kernels before 5.14 do not know this advice; they take the memory as it is written.
  for (char* block : blocks_) (void)::madvise(block, SlabPool::kBlockBytes, MADV_POPULATE_WRITE);
}

int64_t RowArray::bytes(int64_t rows) const {
  if (rows == 0) return 0;
  const int64_t full = (rows - 1) / rows_per_block_;
  const int64_t last_bytes = (rows - full * rows_per_block_) * static_cast<int64_t>(stride_);
  const int64_t page = full == 0 ? kPageBytes : kHugePageBytes;
  return full * static_cast<int64_t>(SlabPool::kBlockBytes) + (last_bytes + page - 1) / page * page;
}

}  // namespace weir
