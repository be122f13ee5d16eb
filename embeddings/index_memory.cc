#include "embeddings/index_memory.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <glog/logging.h>

namespace weir {

IndexMemory::~IndexMemory() {
  for (auto& [block, lines] : blocks_) pool_->GiveBack(block);
}

char* IndexMemory::BlockOf(char* piece) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(piece) & ~uintptr_t{SlabPool::kBlockBytes - 1});
}

uint8_t& IndexMemory::LineOf(char* piece) {
  char* block = BlockOf(piece);
  return blocks_.at(block)[(piece - block) >> kMinLog];
}

char* IndexMemory::Take(int log_bytes) {
  CHECK(log_bytes >= kMinLog && log_bytes <= kMaxLog) << log_bytes;
  char* piece;
  {
    const std::lock_guard lock(mutex_);
    piece = TakeFree(log_bytes);
  }
  std::memset(piece, 0, size_t{1} << log_bytes);
  return piece;
}

char* IndexMemory::TakeFree(int log_bytes) {
  int log = log_bytes;
  while (log <= kMaxLog && free_[log] == nullptr) ++log;
  char* piece;
  if (log <= kMaxLog) {
    piece = reinterpret_cast<char*>(free_[log]);
    RemoveFree(piece, log);
  } else {
    log = kMaxLog;
    // The first block serves jobs of few rows too.
    piece = pool_->Take(/*small_pages=*/blocks_.empty());
    blocks_[piece] = Lines(size_t{1} << (kMaxLog - kMinLog));
  }
  for (; log > log_bytes; --log) PushFree(piece + (size_t{1} << (log - 1)), log - 1);
  taken_bytes_ += int64_t{1} << log_bytes;
  return piece;
}

int64_t IndexMemory::free_bytes() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(blocks_.size() << kMaxLog) - taken_bytes_;
}

void IndexMemory::GiveBack(char* piece, int log_bytes) {
  const std::lock_guard lock(mutex_);
  taken_bytes_ -= int64_t{1} << log_bytes;
  char* block = BlockOf(piece);
  while (log_bytes < kMaxLog) {
    char* other = block + ((piece - block) ^ (std::ptrdiff_t{1} << log_bytes));
    if (LineOf(other) != log_bytes) break;
    RemoveFree(other, log_bytes);
    piece = std::min(piece, other);
    ++log_bytes;
  }
  if (log_bytes < kMaxLog) return PushFree(piece, log_bytes);
  blocks_.erase(block);
  pool_->GiveBack(block);
}

void IndexMemory::PushFree(char* piece, int log_bytes) {
  LineOf(piece) = static_cast<uint8_t>(log_bytes);
  auto* free = new (piece) FreePiece{nullptr, free_[log_bytes]};
  if (free->next != nullptr) free->next->previous = free;
  free_[log_bytes] = free;
}

void IndexMemory::RemoveFree(char* piece, int log_bytes) {
  LineOf(piece) = 0;
  auto* free = reinterpret_cast<FreePiece*>(piece);
  if (free->next != nullptr) free->next->previous = free->previous;
  (free->previous != nullptr ? free->previous->next : free_[log_bytes]) = free->next;
}

}  // namespace weir
