// What the fields of a table say of each other: memory, admission, eviction, disk.
#pragma once

#include "proto/job.pb.h"
#include "proto/job_text.h"

namespace weir {

// Adds to `errors` what is wrong in job.tables(index) besides its name and optimizer. The job is resolved.
void CheckTableLimits(const Job& job, int index, JobErrors* errors);

}  // namespace weir
