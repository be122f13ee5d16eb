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
// grown lets a thread of its own write to the next blocks ahead of time, so that the owner's does not. Not thread-safe;
// outlives what took blocks from it. Ends the process when the system has no memory: rows cannot be dropped.
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

  // Of blocks taken and not given back, and of those made ready.
  int64_t bytes() const {
    return (taken_ + (preparer_.joinable() ? ReadyMax() : 0)) * static_cast<int64_t>(kBlockBytes);
  }

 private:
  static constexpr size_t kRegionBlocks = 8;
  static constexpr int64_t kTakenPerReady = 64;  // so that what is ready is a small part

  // A table's weights, its records and twice its index may need a block at about the same time.
  int64_t ReadyMax() const { return std::min<int64_t>(taken_ / kTakenPerReady, 4); }

  char* TakeFree();  // under mutex_
  char* TakeReady(std::unique_lock<std::mutex>* lock);
  void Prepare();

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t taken_ = 0;  // changed by the owner only
  std::vector<MappedMemory> regions_;
  std::vector<char*> free_;
  std::vector<char*> ready_;  // zeroed, on huge pages
  bool ends_ = false;
  std::thread preparer_;
};

}  // namespace weir
