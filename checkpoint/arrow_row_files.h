// Rows as Arrow IPC files of whole virtual shards (docs/formats.md).
#pragma once

#include <memory>

#include "base/file_system.h"
#include "embeddings/row_files.h"

namespace weir {

// file_system must outlive the result.
std::unique_ptr<RowFiles> MakeArrowRowFiles(FileSystem* file_system);

}  // namespace weir
