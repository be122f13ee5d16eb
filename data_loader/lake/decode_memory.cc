#include "data_loader/lake/decode_memory.h"

#include <arrow/memory_pool.h>
#include <arrow/status.h>

namespace weir {

arrow::MemoryPool* DecodeMemory() {
  arrow::MemoryPool* pool = nullptr;
  return arrow::jemalloc_memory_pool(&pool).ok() ? pool : arrow::default_memory_pool();
}

}  // namespace weir
