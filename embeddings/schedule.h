// The learning rate of a step, for rows and dense parameters alike.
#pragma once

#include <cstdint>

#include "proto/job.pb.h"

namespace weir {

// config.learning_rate times the schedule's factor at `step` (1-based): s / warmup_steps while warming up, then the
// decay. The same bits on all processors.
double LearningRate(const OptimizerConfig& config, int64_t step);

}  // namespace weir
