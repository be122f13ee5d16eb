// RowArray: one fixed-size element per row, in blocks of a SlabPool. Elements never move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "embeddings/slab_pool.h"

namespace weir {

// The pool outlives the array. Not thread-safe.
class RowArray {
 public:
  // stride_bytes: at most a block.
  RowArray(size_t stride_bytes, SlabPool* pool);
  ~RowArray();
  RowArray(const RowArray&) = delete;
  RowArray& operator=(const RowArray&) = delete;

  // row < rows_max().
  char* At(uint32_t row) const {
    // Division by a constant known at run time, exact for 32 bits (Lemire, Kaser and Kurz, 2019).
    const auto block = static_cast<uint32_t>((static_cast<unsigned __int128>(reciprocal_) * row) >> 64);
    return blocks_[block] + static_cast<size_t>(row - block * rows_per_block_) * stride_;
  }
  size_t stride_bytes() const { return stride_; }
  int64_t rows_max() const { return static_cast<int64_t>(blocks_.size()) * rows_per_block_; }
  // Adds zeroed blocks until `rows` fit.
  void GrowTo(int64_t rows) {
    if (rows > rows_max()) AddBlocks(rows);
  }
  // Takes the memory of all blocks now rather than when it is first written.
  void Populate();
  // Of the pages of the first `rows` elements, all that were written.
  int64_t bytes(int64_t rows) const;

 private:
  void AddBlocks(int64_t rows);

  const size_t stride_;
  SlabPool* const pool_;
  const uint32_t rows_per_block_;
  const uint64_t reciprocal_;  // ceil(2^64 / rows_per_block_)
  std::vector<char*> blocks_;
};

}  // namespace weir
