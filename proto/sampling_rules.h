// What the fields of label, sampling and next_item say of each other and of the features.
#pragma once

#include "proto/job.pb.h"
#include "proto/job_text.h"

namespace weir {

// Adds to `errors` what is wrong in data.label and in both sources' sampling. The job is resolved.
void CheckSampling(const Job& job, JobErrors* errors);

}  // namespace weir
