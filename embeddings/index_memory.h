// IndexMemory: zeroed memory for the segments of indexes, in powers of two from a cache line to a block of the pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "embeddings/slab_pool.h"

namespace weir {

// A buddy allocator (Knowlton, 1965) over blocks of the pool: what is given back joins its free other half, so that the
// memory of segments that doubled serves bigger ones, and whole blocks go back to the pool. Shared by the tables of an
// owner; any thread may call it.
class IndexMemory {
 public:
  static constexpr int kMinLog = 6;   // a cache line
  static constexpr int kMaxLog = 21;  // a block of the pool

  explicit IndexMemory(SlabPool* pool) : pool_(pool) {}
  ~IndexMemory();
  IndexMemory(const IndexMemory&) = delete;
  IndexMemory& operator=(const IndexMemory&) = delete;

  // 2^log_bytes zeroed bytes at a multiple of their size.
  char* Take(int log_bytes);
  void GiveBack(char* piece, int log_bytes);

  // Of blocks of the pool, what is in no piece taken.
  int64_t free_bytes() const;

 private:
  // Stands in a free piece, which is in the list of its size.
  struct FreePiece {
    FreePiece* previous;
    FreePiece* next;
  };
  // Of a block: by its cache lines, the log of the free piece that begins there, else 0.
  using Lines = std::vector<uint8_t>;

  // All under mutex_.
  char* TakeFree(int log_bytes);
  uint8_t& LineOf(char* piece);
  void PushFree(char* piece, int log_bytes);
  void RemoveFree(char* piece, int log_bytes);
  static char* BlockOf(char* piece);

  SlabPool* const pool_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  int64_t taken_bytes_ = 0;
  std::unordered_map<char*, Lines> blocks_;
  std::array<FreePiece*, kMaxLog + 1> free_ = {};  // by log of the size
};

}  // namespace weir
