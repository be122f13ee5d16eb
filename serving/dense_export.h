// The dense net as TorchScript.
#pragma once

#include <span>
#include <string>

#include "base/status.h"
#include "batch/feature.h"
#include "checkpoint/checkpoint.h"
#include "proto/job.pb.h"

namespace weir {

// Builds the job's model, fills it with the "parameter/NAME" tensors, traces it and returns the bytes of the
// TorchScript archive, after reading them back and comparing them with the model on batches of other sizes than the
// traced one. FailedPrecondition when the tensors do not fit the model; Internal when the trace does not give its
// logits.
Result<std::string> ExportDense(const Job& job, const FeatureSet& features, std::span<const DenseTensor> tensors);

}  // namespace weir
