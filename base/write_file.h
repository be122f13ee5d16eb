// WriteFile: a whole small file at once.
#pragma once

#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/status.h"

namespace weir {

// Creates or truncates the file, writes `bytes`, waits until they are on the disk and closes it. The folder is not
// synced: an entry that must last needs SyncFolder too. After an error the file may hold a part.
Status WriteFile(FileSystem* file_system, const std::string& path, std::string_view bytes);

}  // namespace weir
