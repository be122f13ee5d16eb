// Words of a command line that say how data files are written: "data.csv.delimiter=;".
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// Applies the words that begin with "data." and hold a "=" to *job and returns the others, in order: a file of such a
// name is written "./data.x=y". InvalidArgument as ApplyOverride.
Result<std::vector<std::string>> TakeDataWords(std::span<const std::string> words, Job* job);

}  // namespace weir
