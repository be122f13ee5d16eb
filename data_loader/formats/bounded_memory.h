// BoundedMemory: memory for decoding bytes of others, of which there is only so much: a few bytes can claim to unpack
// to any size.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <arrow/memory_pool.h>
#include <arrow/type_fwd.h>

namespace weir {

// Takes from DecodeMemory(), and refuses (OutOfMemory) what would make it more than bytes_max at once. Must outlive
// what it gave. Thread-safe.
class BoundedMemory : public arrow::MemoryPool {
 public:
  explicit BoundedMemory(int64_t bytes_max);

  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;
  int64_t bytes_allocated() const override { return bytes_; }
  int64_t total_bytes_allocated() const override { return total_bytes_; }
  int64_t num_allocations() const override { return allocations_; }
  std::string backend_name() const override { return pool_->backend_name(); }

 private:
  arrow::Status Reserve(int64_t bytes);

  arrow::MemoryPool* const pool_;
  const int64_t bytes_max_;
  std::atomic<int64_t> bytes_ = 0, total_bytes_ = 0, allocations_ = 0;
};

// The batch with buffers that keep `memory`, from which they are, alive.
std::shared_ptr<arrow::RecordBatch> KeepMemory(const arrow::RecordBatch& batch,
                                               const std::shared_ptr<BoundedMemory>& memory);

}  // namespace weir
