// Partition columns: what the folders COLUMN=VALUE on a file's path say of its rows, as columns beside the file's own.
#pragma once

#include <memory>

#include "base/status.h"
#include "data_loader/formats/lake_file.h"

namespace weir {

// `file` with a column of text (see IsText) for each of its entry's partitions, with the partition's value in every
// row, or null. A partition takes the place of a column of the file that has its name, as it does in Spark and PyArrow:
// filters and features then see the same value. The file itself when it has no partitions.
Result<std::unique_ptr<LakeFile>> WithPartitionColumns(std::unique_ptr<LakeFile> file);

}  // namespace weir
