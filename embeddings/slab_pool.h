// SlabPool: the memory of all tables of one owner, in blocks of one size on huge pages, under one count of bytes.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "embeddings/mapped_memory.h"

namespace weir {

// Blocks are mapped a few at a time and go back to the pool, not to the system: another table takes them. The system
// zeroes a huge page when it is first written, which takes milliseconds where memory comes slowly: a pool that has
// grown lets a thread of its own write to the next blocks ahead of time, so that the owner's does not. Any thread may
// call it. Outlives what took blocks from it. Ends the process when the system has no memory: rows cannot be dropped.
class SlabPool {
 public:
  static constexpr size_t kBlockBytes = kHugePageBytes;

  SlabPool() = default;
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // A zeroed block. With small pages it takes memory page by page as it is written, for a table that may stay small.
  char* Take(bool small_pages = false);
  void GiveBack(char* block);

  // Of blocks taken and not given back.
  int64_t bytes() const;
  // Of those made ready beside them.
  int64_t ready_bytes() const;

 private:
  static constexpr size_t kRegionBlocks = 8;
  // A table's weights, its records and twice its index may need a block at about the same time; in a small pool what is
  // ready should be a small part. Under mutex_.
  int64_t ReadyMax() const { return taken_ < 4 ? 0 : std::clamp<int64_t>(taken_ / 64, 1, 4); }

  // Both under mutex_.
  char* TakeFree();
  char* TakeReady(std::unique_lock<std::mutex>* lock);
  void Prepare();  // the thread

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  int64_t taken_ = 0;
  std::vector<MappedMemory> regions_;
  std::vector<char*> free_;
  std::vector<char*> ready_;  // zeroed, on huge pages
  int64_t preparing_ = 0;     // blocks in the thread's hands
  int64_t waiting_ = 0;       // takers, who get one even if the pool has become small meanwhile
  bool ends_ = false;
  std::thread preparer_;
};

}  // namespace weir
