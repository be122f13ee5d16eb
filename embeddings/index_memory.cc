#include "embeddings/index_memory.h"

#include <algorithm>
#include <cstring>

#include <glog/logging.h>

namespace weir {

IndexMemory::~IndexMemory() {
  for (auto& [block, pages] : blocks_) pool_->GiveBack(block);
}

char* IndexMemory::BlockOf(char* piece) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(piece) & ~uintptr_t{SlabPool::kBlockBytes - 1});
}

char* IndexMemory::Take(int log_bytes) {
  CHECK(log_bytes >= kMinLog && log_bytes <= kMaxLog) << log_bytes;
  taken_bytes_ += int64_t{1} << log_bytes;
  if (log_bytes >= kPageLog) {
    char* piece = TakePages(log_bytes);
    std::memset(piece, 0, size_t{1} << log_bytes);
    return piece;
  }
  auto& free = free_[log_bytes];
  if (free.empty()) {
    char* page = TakePages(kPageLog);
    const size_t size = size_t{1} << log_bytes;
    for (size_t at = size_t{1} << kPageLog; at > 0; at -= size) free.push_back(page + at - size);
  }
  char* piece = free.back();
  free.pop_back();
  std::memset(piece, 0, size_t{1} << log_bytes);
  return piece;
}

void IndexMemory::GiveBack(char* piece, int log_bytes) {
  taken_bytes_ -= int64_t{1} << log_bytes;
  if (log_bytes >= kPageLog) return GivePages(piece, log_bytes);
  free_[log_bytes].push_back(piece);
}

char* IndexMemory::TakePages(int log_bytes) {
  int log = log_bytes;
  while (log <= kMaxLog && free_[log].empty()) ++log;
  char* piece;
  if (log > kMaxLog) {
    log = kMaxLog;
    // The first block serves jobs of few rows too.
    piece = pool_->Take(/*small_pages=*/blocks_.empty());
    blocks_[piece] = {};
  } else {
    piece = free_[log].back();
    free_[log].pop_back();
    blocks_[BlockOf(piece)][(piece - BlockOf(piece)) >> kPageLog] = 0;
  }
  for (; log > log_bytes; --log) PushFree(piece + (size_t{1} << (log - 1)), log - 1);
  return piece;
}

void IndexMemory::GivePages(char* piece, int log_bytes) {
  char* block = BlockOf(piece);
  Block& pages = blocks_[block];
  while (log_bytes < kMaxLog) {
    char* other = block + ((piece - block) ^ (std::ptrdiff_t{1} << log_bytes));
    if (pages[(other - block) >> kPageLog] != log_bytes) break;
    RemoveFree(other, log_bytes);
    piece = std::min(piece, other);
    ++log_bytes;
  }
  if (log_bytes < kMaxLog) return PushFree(piece, log_bytes);
  blocks_.erase(block);
  pool_->GiveBack(block);
}

void IndexMemory::PushFree(char* piece, int log_bytes) {
  char* block = BlockOf(piece);
  blocks_[block][(piece - block) >> kPageLog] = static_cast<uint8_t>(log_bytes);
  free_[log_bytes].push_back(piece);
}

void IndexMemory::RemoveFree(char* piece, int log_bytes) {
  char* block = BlockOf(piece);
  blocks_[block][(piece - block) >> kPageLog] = 0;
  auto& free = free_[log_bytes];
  auto found = std::find(free.begin(), free.end(), piece);
  CHECK(found != free.end());
  *found = free.back();
  free.pop_back();
}

}  // namespace weir
