// Whether all ranks see the same folder of checkpoints: one writes a probe, the others look for it. A folder that each
// host has for itself would take every host's rows and look committed, with most of them missing.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"

namespace weir {

// Makes `root` if need be and a probe in it. Returns the token that the others are to be told.
Result<std::string> WriteProbe(FileSystem* file_system, const std::string& root);

// OK when the probe is seen; looks again for up to timeout_ms, since network file systems show new files late. Else
// FailedPrecondition.
Status CheckProbe(FileSystem* file_system, const std::string& root, const std::string& token, int64_t timeout_ms = 5000,
                  const Clock& clock = SystemClock());

// By whoever wrote it, after all have looked.
Status RemoveProbe(FileSystem* file_system, const std::string& root, const std::string& token);

}  // namespace weir
