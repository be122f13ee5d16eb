// What a job must hold to be one: the rules of field_options.proto, and what fields say of each other.
#pragma once

#include "proto/job.pb.h"
#include "proto/job_text.h"

namespace weir {

// Checks the range of every field that is set and the presence of the required ones.
void CheckFieldRules(const google::protobuf::Message& message, JobErrors* errors);

// Checks a resolved job for what one field says of another: names, tables, boundaries, labels, optimizers, cluster.
void CheckMeaning(const Job& job, JobErrors* errors);

}  // namespace weir
