// From a job as written to a job as understood: ranges expanded, fields filled in that default to something else.
#pragma once

#include <vector>

#include "proto/job.pb.h"
#include "proto/job_text.h"

namespace weir {

// For each feature and table of the resolved job, the index of the one it was written as.
struct JobOrigins {
  std::vector<int> features;
  std::vector<int> tables;
};

// Reports torn ranges and ranges of different lengths; what they stand in is then left as it is.
JobOrigins ResolveJob(Job* job, JobErrors* errors);

}  // namespace weir
