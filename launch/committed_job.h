// The job that a checkpoint was trained with, for the commands that start from one.
#pragma once

#include <span>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// The job in the manifest of `checkpoint` (a step-N folder) with overrides applied. FailedPrecondition when an override
// changes what the checkpoint's rows and tensors were trained as: features, tables or model.
Result<Job> ReadCommittedJob(FileSystem* file_system, const std::string& checkpoint,
                             std::span<const std::string> overrides);

}  // namespace weir
