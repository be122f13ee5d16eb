// Rows as Arrow IPC files of whole virtual shards (docs/formats.md).
#pragma once

#include <cstdint>
#include <memory>

#include "base/file_system.h"
#include "embeddings/row_files.h"

namespace weir {

// A table's rows are split over files of about this many bytes, so that no file grows without bound.
inline constexpr uint64_t kRowFileBytesTarget = 1ull << 30;

// file_system must outlive the result.
std::unique_ptr<RowFiles> MakeArrowRowFiles(FileSystem* file_system, uint64_t file_bytes_target = kRowFileBytesTarget);

}  // namespace weir
