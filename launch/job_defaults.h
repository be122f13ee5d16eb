// A job with every default written out, for people to read.
#pragma once

#include "proto/job.pb.h"

namespace weir {

// Sets each field that is not set but has a default, in the messages that are there and in the groups of the job itself
// (train, cluster, checkpoint, metrics). Only for printing: elsewhere "not set" has a meaning.
Job WithDefaults(const Job& job);

}  // namespace weir
