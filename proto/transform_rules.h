// What a job must hold of transforms beyond the ranges of their fields.
#pragma once

#include "proto/job.pb.h"
#include "proto/job_text.h"

namespace weir {

// Checks the columns that are made of others (what they take, that somebody reads them) and what the features' own
// transforms say of each other: learned numbers, sequences and their groups, vectors.
void CheckTransforms(const Job& job, JobErrors* errors);

}  // namespace weir
