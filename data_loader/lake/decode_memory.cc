#include "data_loader/lake/decode_memory.h"

#include <string>

#include <arrow/memory_pool.h>
#include <arrow/status.h>
#include <fmt/format.h>

namespace weir {
namespace {

arrow::MemoryPool* UnboundedMemory() {
  arrow::MemoryPool* pool = nullptr;
  return arrow::jemalloc_memory_pool(&pool).ok() ? pool : arrow::default_memory_pool();
}

class BufferBoundedMemory : public arrow::MemoryPool {
 public:
  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;

  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(Check(size));
    return pool_->Allocate(size, alignment, out);
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) override {
    ARROW_RETURN_NOT_OK(Check(new_size));
    return pool_->Reallocate(old_size, new_size, alignment, ptr);
  }
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override { pool_->Free(buffer, size, alignment); }
  void ReleaseUnused() override { pool_->ReleaseUnused(); }
  int64_t bytes_allocated() const override { return pool_->bytes_allocated(); }
  int64_t max_memory() const override { return pool_->max_memory(); }
  int64_t total_bytes_allocated() const override { return pool_->total_bytes_allocated(); }
  int64_t num_allocations() const override { return pool_->num_allocations(); }
  std::string backend_name() const override { return pool_->backend_name(); }

 private:
  static arrow::Status Check(int64_t size) {
    if (size <= kDecodeBufferBytesMax) return arrow::Status::OK();
    return arrow::Status::OutOfMemory(
        fmt::format("expected pages and columns of at most {} bytes, found {}: the file is damaged, or was written in "
                    "pieces too large",
                    kDecodeBufferBytesMax, size));
  }

  arrow::MemoryPool* const pool_ = UnboundedMemory();
};

}  // namespace

arrow::MemoryPool* DecodeMemory() {
  static auto* const memory = new BufferBoundedMemory();  // outlives all that it gave
  return memory;
}

}  // namespace weir
