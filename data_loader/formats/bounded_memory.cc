#include "data_loader/formats/bounded_memory.h"

#include <utility>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

struct KeptBuffer {
  std::shared_ptr<BoundedMemory> memory;
  std::shared_ptr<arrow::Buffer> buffer;  // goes before the memory
};

std::shared_ptr<arrow::ArrayData> Keep(const arrow::ArrayData& data, const std::shared_ptr<BoundedMemory>& memory) {
  auto kept = data.Copy();
  for (auto& buffer : kept->buffers) {
    if (buffer == nullptr) continue;
    auto holder = std::make_shared<KeptBuffer>(KeptBuffer{memory, std::move(buffer)});
    buffer = std::shared_ptr<arrow::Buffer>(holder, holder->buffer.get());
  }
  for (auto& child : kept->child_data) child = Keep(*child, memory);
  if (kept->dictionary != nullptr) kept->dictionary = Keep(*kept->dictionary, memory);
  return kept;
}

}  // namespace

BoundedMemory::BoundedMemory(int64_t bytes_max) : pool_(DecodeMemory()), bytes_max_(bytes_max) {}

arrow::Status BoundedMemory::Reserve(int64_t bytes) {
  if (bytes > bytes_max_ || bytes_.fetch_add(bytes) + bytes > bytes_max_) {
    if (bytes <= bytes_max_) bytes_ -= bytes;
    return arrow::Status::OutOfMemory(fmt::format("expected to need at most {} bytes at once, found more", bytes_max_));
  }
  return arrow::Status::OK();
}

arrow::Status BoundedMemory::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  ARROW_RETURN_NOT_OK(Reserve(size));
  const arrow::Status status = pool_->Allocate(size, alignment, out);
  if (!status.ok()) {
    bytes_ -= size;
    return status;
  }
  total_bytes_ += size;
  ++allocations_;
  return status;
}

arrow::Status BoundedMemory::Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) {
  // Both may be there while it is copied.
  ARROW_RETURN_NOT_OK(Reserve(new_size));
  const arrow::Status status = pool_->Reallocate(old_size, new_size, alignment, ptr);
  bytes_ -= status.ok() ? old_size : new_size;
  if (status.ok()) {
    total_bytes_ += new_size;
    ++allocations_;
  }
  return status;
}

void BoundedMemory::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  pool_->Free(buffer, size, alignment);
  bytes_ -= size;
}

std::shared_ptr<arrow::RecordBatch> KeepMemory(const arrow::RecordBatch& batch,
                                               const std::shared_ptr<BoundedMemory>& memory) {
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (const auto& column : batch.column_data()) columns.push_back(Keep(*column, memory));
  return arrow::RecordBatch::Make(batch.schema(), batch.num_rows(), std::move(columns));
}

}  // namespace weir
