// MappedMemory: zeroed anonymous memory straight from the system, for arrays too big for the heap.
#pragma once

#include <cstddef>
#include <utility>

namespace weir {

// Owns one mapping. Pages take memory when they are first written.
class MappedMemory {
 public:
  MappedMemory() = default;
  // Ends the process when the system has no memory: rows cannot be dropped. Sizes of 2 MiB and more begin at a huge
  // page and ask for huge pages.
  explicit MappedMemory(size_t size_bytes);
  ~MappedMemory();
  MappedMemory(MappedMemory&& other) noexcept { *this = std::move(other); }
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }

  char* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  char* data_ = nullptr;
  size_t size_bytes_ = 0;
};

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = 2 << 20;

}  // namespace weir
