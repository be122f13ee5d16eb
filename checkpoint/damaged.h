// Checkpoints that turn out damaged keep their bytes under another name, since they may still be of use to people.
#pragma once

#include <cstdint>
#include <string>

#include "base/file_system.h"
#include "base/status.h"

namespace weir {

// Makes root/step-N free to be written: OK when nothing is there or what was there was damaged and is now
// step-N.bad-UUID; AlreadyExists when it is whole; what VerifyCheckpoint says when it cannot be judged (another format).
Status MakeWay(FileSystem* file_system, const std::string& root, int64_t step);

}  // namespace weir
