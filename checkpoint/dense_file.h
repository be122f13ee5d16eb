// dense.arrow: the dense tensors as an Arrow IPC file, one record batch each (docs/formats.md).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace weir {

inline constexpr char kDenseFileName[] = "dense.arrow";

// Writes folder/dense.arrow and syncs it. InvalidArgument when a name is empty or stands twice, or a shape does not fit
// its values.
Result<DataFile> WriteDenseFile(FileSystem* file_system, const std::string& folder,
                                std::span<const DenseTensor> tensors);

Result<std::vector<DenseTensor>> ReadDenseFile(FileSystem* file_system, const std::string& folder,
                                               const DataFile& entry);

}  // namespace weir
