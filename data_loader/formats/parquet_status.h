// What Parquet throws, as ours.
#pragma once

#include <exception>
#include <string_view>

#include "base/status.h"

namespace weir {

// An exception of Parquet while it read `what`: DataLoss, but for errors of reading the file itself, which stay what
// they are (a remote storage that did not answer, a file that was changed).
Status FromParquet(const std::exception& error, std::string_view what);

}  // namespace weir
