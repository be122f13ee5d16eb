// The dense half of a checkpoint: parameters and their optimizer's state, by name.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "models/flat_parameters.h"
#include "trainer/dense_optimizer.h"

namespace weir {

// "parameter/NAME" for each parameter and "STATE/NAME" for each state of its optimizer.
std::vector<DenseTensor> SaveDense(FlatParameters& parameters, DenseOptimizer& optimizer);

// Fills parameters and, unless `optimizer` is null, its states. FailedPrecondition names a tensor that is missing,
// superfluous or of another shape.
Status RestoreDense(std::span<const DenseTensor> tensors, FlatParameters* parameters, DenseOptimizer* optimizer);

}  // namespace weir
