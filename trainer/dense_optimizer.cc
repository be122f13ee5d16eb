#include "trainer/dense_optimizer.h"

#include <cmath>

#include <fmt/format.h>

#include "embeddings/schedule.h"
#include "models/layers/vector_clones.h"

namespace weir {
namespace {

// The loops below visit each value once, in float32, in PyTorch's order of operations.

WEIR_VECTOR_CLONES void SgdStep(int64_t size, float rate, float weight_decay, const float* __restrict gradients,
                                float* __restrict values) {
  for (int64_t i = 0; i < size; ++i) {
    const float gradient = gradients[i] + weight_decay * values[i];
    values[i] -= rate * gradient;
  }
}

WEIR_VECTOR_CLONES void AdaGradStep(int64_t size, float rate, float weight_decay, float eps,
                                    const float* __restrict gradients, float* __restrict sums,
                                    float* __restrict values) {
  for (int64_t i = 0; i < size; ++i) {
    const float gradient = gradients[i] + weight_decay * values[i];
    sums[i] += gradient * gradient;
    values[i] -= rate * (gradient / (std::sqrt(sums[i]) + eps));
  }
}

struct AdamFactors {
  float step_size;   // rate / (1 - beta1^step)
  float mean_share;  // 1 - beta1
  float beta2;
  float square_share;     // 1 - beta2
  float root_correction;  // sqrt(1 - beta2^step)
  float eps;
  float weight_decay;
};

WEIR_VECTOR_CLONES void AdamStep(int64_t size, const AdamFactors factors, const float* __restrict gradients,
                                 float* __restrict means, float* __restrict squares, float* __restrict values) {
  for (int64_t i = 0; i < size; ++i) {
    const float gradient = gradients[i] + factors.weight_decay * values[i];
    means[i] += factors.mean_share * (gradient - means[i]);
    squares[i] = factors.beta2 * squares[i] + factors.square_share * gradient * gradient;
    values[i] -= factors.step_size * (means[i] / (std::sqrt(squares[i]) / factors.root_correction + factors.eps));
  }
}

class RuleBase : public DenseOptimizer {
 public:
  RuleBase(const OptimizerConfig& config, int64_t size) : config_(config), size_(size) {}

  std::span<DenseState> states() final { return states_; }

 protected:
  void AddState(const char* name, float initial) {
    states_.push_back({name, std::vector<float>(static_cast<size_t>(size_), initial)});
  }
  void CheckSizes(std::span<float> values, std::span<const float> gradients) const {
    CHECK_EQ(static_cast<int64_t>(values.size()), size_);
    CHECK_EQ(static_cast<int64_t>(gradients.size()), size_);
  }
  float Rate(int64_t step) const { return static_cast<float>(LearningRate(config_, step)); }
  float weight_decay() const { return static_cast<float>(config_.weight_decay()); }

  const OptimizerConfig config_;
  const int64_t size_;
  std::vector<DenseState> states_;
};

class Sgd : public RuleBase {
 public:
  using RuleBase::RuleBase;

  void Step(int64_t step, std::span<float> values, std::span<const float> gradients) override {
    CheckSizes(values, gradients);
    SgdStep(size_, Rate(step), weight_decay(), gradients.data(), values.data());
  }
};

class AdaGrad : public RuleBase {
 public:
  AdaGrad(const OptimizerConfig& config, int64_t size) : RuleBase(config, size) {
    AddState("sum", static_cast<float>(config.adagrad().initial_accumulator()));
  }

  void Step(int64_t step, std::span<float> values, std::span<const float> gradients) override {
    CheckSizes(values, gradients);
    AdaGradStep(size_, Rate(step), weight_decay(), static_cast<float>(config_.adagrad().eps()), gradients.data(),
                states_[0].values.data(), values.data());
  }
};

class Adam : public RuleBase {
 public:
  Adam(const OptimizerConfig& config, int64_t size) : RuleBase(config, size) {
    AddState("exp_avg", 0);
    AddState("exp_avg_sq", 0);
  }

  void Step(int64_t step, std::span<float> values, std::span<const float> gradients) override {
    CheckSizes(values, gradients);
    const double beta1 = config_.adam().beta1(), beta2 = config_.adam().beta2();
    const double steps = static_cast<double>(step);
    AdamFactors factors;
    factors.step_size = static_cast<float>(LearningRate(config_, step) / (1 - std::pow(beta1, steps)));
    factors.mean_share = static_cast<float>(1 - beta1);
    factors.beta2 = static_cast<float>(beta2);
    factors.square_share = static_cast<float>(1 - beta2);
    factors.root_correction = static_cast<float>(std::sqrt(1 - std::pow(beta2, steps)));
    factors.eps = static_cast<float>(config_.adam().eps());
    factors.weight_decay = weight_decay();
    AdamStep(size_, factors, gradients.data(), states_[0].values.data(), states_[1].values.data(), values.data());
  }
};

}  // namespace

Result<std::unique_ptr<DenseOptimizer>> DenseOptimizer::Make(const OptimizerConfig& config, int64_t size) {
  switch (config.rule_case()) {
    case OptimizerConfig::kSgd:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<Sgd>(config, size));
    case OptimizerConfig::kAdagrad:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<AdaGrad>(config, size));
    case OptimizerConfig::kAdam:
    case OptimizerConfig::RULE_NOT_SET:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<Adam>(config, size));
    case OptimizerConfig::kRowwiseAdagrad:
    default:
      break;
  }
  return InvalidArgument(
      "optimizers.dense: expected sgd, adagrad or adam, found rowwise_adagrad, which is for rows only");
}

}  // namespace weir
