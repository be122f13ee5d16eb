// A job from the file that a user names on the command line.
#pragma once

#include <span>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/job_text.h"

namespace weir {

// Reads, resolves and fits the job in `path` (data_loader/transforms/fit.h). `errors` may be null; with it, callers add
// their own at the job's lines.
Result<Job> ReadJobFile(FileSystem* file_system, const std::string& path, std::span<const std::string> overrides,
                        JobErrors* errors);

}  // namespace weir
