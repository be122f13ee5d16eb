// Export: turns a checkpoint into files that others can score with: TorchScript and Parquet, nothing of Weir's.
#pragma once

#include <string>

#include "base/file_system.h"
#include "base/status.h"

namespace weir {

inline constexpr int kExportFormatVersion = 1;

// Writes to the folder `out` (made, with its parents; docs/formats.md):
//   dense.pt            the dense net as TorchScript, traced from the model and checked against it
//   rows-TABLE.parquet  key and vector of every row of a table
//   job.textproto       the job as resolved
//   export.json         ExportManifest (proto/export.proto): how the parts fit
//   README.md           the same for people
// `checkpoint` is a step-N folder, a run's output folder or its checkpoints/ folder (ResolveCheckpoint). Memory: the
// dense net and one record batch of rows. `out` is complete or not there: all is written to a folder beside it, which
// is renamed at the end and removed after an error. Errors: AlreadyExists when `out` exists and is not an empty folder;
// NotFound, DataLoss or FailedPrecondition for the checkpoint; Internal when the traced module does not give the
// model's logits; the file system's.
Status ExportModel(FileSystem* file_system, const std::string& checkpoint, const std::string& out);

}  // namespace weir
