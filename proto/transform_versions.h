// The versions of the transforms that a job uses, which its checkpoints record: job.proto declares them, field by
// field.
#pragma once

#include <map>
#include <string>

#include "proto/checkpoint.pb.h"
#include "proto/job.pb.h"

namespace weir {

// By name, "columns.time" or "numeric.log": every field with a version (FieldSpec) that a feature or a column has set.
// It grows when any value comes out otherwise.
std::map<std::string, int> TransformVersions(const Job& job);
// The same as manifests and exports have it.
google::protobuf::RepeatedPtrField<TransformVersion> RecordedTransforms(const Job& job);

}  // namespace weir
