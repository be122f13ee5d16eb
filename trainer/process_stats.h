// What the operating system knows of this process.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace weir {

// The most memory this process ever had resident, in bytes: VmHWM of /proc/self/status. Pages shared with other
// processes count in each, so a sum over ranks is an upper bound.
Result<int64_t> PeakRssBytes();

}  // namespace weir
