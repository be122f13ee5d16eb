// DenseOptimizer: learns the dense parameters, all of them in one call over their flat buffer. Rules and names are
// PyTorch's (SGD with and without momentum, Adam and AMSGrad with L2 weight decay, Adagrad).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// A state of the rule, as long as the flat buffer of parameters.
struct DenseState {
  std::string name;  // PyTorch's: "sum", "momentum_buffer", "exp_avg"
  std::vector<float> values;
};

// One thread at a time.
class DenseOptimizer {
 public:
  virtual ~DenseOptimizer() = default;

  // Clips the gradients as configured, then runs the rule. values, gradients: [size]. `step` is the global step,
  // 1-based.
  virtual void Step(int64_t step, std::span<float> values, std::span<const float> gradients) = 0;

  // For checkpoints: to read and, on resume, to fill.
  virtual std::span<DenseState> states() = 0;

  // size: floats in the flat buffer. InvalidArgument for a rule that is for rows only.
  static Result<std::unique_ptr<DenseOptimizer>> Make(const OptimizerConfig& config, int64_t size);
};

}  // namespace weir
