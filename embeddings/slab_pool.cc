#include "embeddings/slab_pool.h"

#include <sys/mman.h>

#include <glog/logging.h>

namespace weir {

SlabPool::~SlabPool() {
  if (!preparer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  preparer_.join();
}

char* SlabPool::Take(bool small_pages) {
  std::unique_lock lock(mutex_);
  ++taken_;
  if (!small_pages && ReadyMax() > 0) return TakeReady(&lock);
  char* block = TakeFree();
  // Advice only: a kernel without huge pages refuses it, and nothing but speed is lost.
  (void)::madvise(block, kBlockBytes, small_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  return block;
}

char* SlabPool::TakeFree() {
  if (free_.empty()) {
    regions_.emplace_back(kRegionBlocks * kBlockBytes);
    for (size_t i = kRegionBlocks; i > 0; --i) free_.push_back(regions_.back().data() + (i - 1) * kBlockBytes);
  }
  char* block = free_.back();
  free_.pop_back();
  return block;
}

char* SlabPool::TakeReady(std::unique_lock<std::mutex>* lock) {
  if (!preparer_.joinable()) preparer_ = std::thread(&SlabPool::Prepare, this);
  ++waiting_;
  changed_.notify_all();
  changed_.wait(*lock, [this] { return !ready_.empty(); });
  --waiting_;
  char* block = ready_.back();
  ready_.pop_back();
  changed_.notify_all();
  return block;
}

void SlabPool::Prepare() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ends_ || static_cast<int64_t>(ready_.size()) < std::max(ReadyMax(), waiting_); });
    if (ends_) return;
    char* block = TakeFree();
    preparing_ = 1;
    lock.unlock();
    (void)::madvise(block, kBlockBytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < kBlockBytes; at += kPageBytes) *static_cast<volatile char*>(block + at) = 0;
    lock.lock();
    ready_.push_back(block);
    preparing_ = 0;
    changed_.notify_all();
  }
}

int64_t SlabPool::bytes() const {
  const std::lock_guard lock(mutex_);
  return taken_ * static_cast<int64_t>(kBlockBytes);
}

int64_t SlabPool::ready_bytes() const {
  const std::lock_guard lock(mutex_);
  return (static_cast<int64_t>(ready_.size()) + preparing_) * static_cast<int64_t>(kBlockBytes);
}

void SlabPool::GiveBack(char* block) {
  // The pages go back to the system and come again zeroed.
  PCHECK(::madvise(block, kBlockBytes, MADV_DONTNEED) == 0);
  const std::lock_guard lock(mutex_);
  free_.push_back(block);
  --taken_;
}

}  // namespace weir
