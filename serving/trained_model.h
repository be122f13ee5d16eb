// The dense net of a checkpoint.
#pragma once

#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "batch/feature.h"
#include "models/model.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// The model that `job` describes with the parameters of the checkpoint, whose manifest is given. DataLoss and
// FailedPrecondition name the tensor that is damaged, missing or of another shape.
Result<std::shared_ptr<Model>> LoadTrainedModel(FileSystem* file_system, const std::string& checkpoint,
                                                const Manifest& manifest, const Job& job, const FeatureSet& features);

}  // namespace weir
