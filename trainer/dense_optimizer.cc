#include "trainer/dense_optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "embeddings/optimizers/row_optimizer.h"
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

WEIR_VECTOR_CLONES void MomentumStep(int64_t size, float rate, float momentum, bool nesterov, float weight_decay,
                                     const float* __restrict gradients, float* __restrict velocities,
                                     float* __restrict values) {
  for (int64_t i = 0; i < size; ++i) {
    const float gradient = gradients[i] + weight_decay * values[i];
    velocities[i] = momentum * velocities[i] + gradient;
    const float direction = nesterov ? gradient + momentum * velocities[i] : velocities[i];
    values[i] -= rate * direction;
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

WEIR_VECTOR_CLONES void AmsgradStep(int64_t size, const AdamFactors factors, const float* __restrict gradients,
                                    float* __restrict means, float* __restrict squares, float* __restrict largest,
                                    float* __restrict values) {
  for (int64_t i = 0; i < size; ++i) {
    const float gradient = gradients[i] + factors.weight_decay * values[i];
    means[i] += factors.mean_share * (gradient - means[i]);
    squares[i] = factors.beta2 * squares[i] + factors.square_share * gradient * gradient;
    largest[i] = squares[i] > largest[i] ? squares[i] : largest[i];
    values[i] -= factors.step_size * (means[i] / (std::sqrt(largest[i]) / factors.root_correction + factors.eps));
  }
}

// A NaN stays one.
WEIR_VECTOR_CLONES void Limit(int64_t size, float limit, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < size; ++i) {
    const float above = from[i] < -limit ? -limit : from[i];
    to[i] = above > limit ? limit : above;
  }
}

// In float64, in 8 lanes that are then added in pairs: the same bits with any width of registers.
WEIR_VECTOR_CLONES double SumOfSquares(int64_t size, const float* __restrict values) {
  constexpr int kLanes = 8;
  double lanes[kLanes] = {};
  const int64_t whole = size / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += double{values[i + lane]} * double{values[i + lane]};
  }
  for (int64_t i = whole; i < size; ++i) lanes[i - whole] += double{values[i]} * double{values[i]};
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

WEIR_VECTOR_CLONES void Scale(int64_t size, float factor, float* values) {
  for (int64_t i = 0; i < size; ++i) values[i] *= factor;
}

class RuleBase : public DenseOptimizer {
 public:
  RuleBase(const OptimizerConfig& config, int64_t size) : config_(config), size_(size) {
    if (config.clip_value() != 0 || config.clip_norm() != 0) clipped_.resize(static_cast<size_t>(size));
  }

  void Step(int64_t step, std::span<float> values, std::span<const float> gradients) final {
    CHECK_EQ(static_cast<int64_t>(values.size()), size_);
    CHECK_EQ(static_cast<int64_t>(gradients.size()), size_);
    Apply(step, values.data(), clipped_.empty() ? gradients.data() : Clip(gradients.data()));
  }

  std::span<DenseState> states() final { return states_; }

 protected:
  // values, gradients: [size_].
  virtual void Apply(int64_t step, float* values, const float* gradients) = 0;

  void AddState(const char* name, float initial) {
    states_.push_back({name, std::vector<float>(static_cast<size_t>(size_), initial)});
  }
  float Rate(int64_t step) const { return static_cast<float>(LearningRate(config_, step)); }
  float weight_decay() const { return static_cast<float>(config_.weight_decay()); }

  const OptimizerConfig config_;
  const int64_t size_;
  std::vector<DenseState> states_;

 private:
  // As torch.nn.utils.clip_grad_value_, then clip_grad_norm_ over all of them.
  const float* Clip(const float* gradients) {
    const float limit =
        config_.clip_value() == 0 ? std::numeric_limits<float>::infinity() : static_cast<float>(config_.clip_value());
    Limit(size_, limit, gradients, clipped_.data());
    if (config_.clip_norm() != 0) {
      const double share = config_.clip_norm() / (std::sqrt(SumOfSquares(size_, clipped_.data())) + 1e-6);
      if (share < 1) Scale(size_, static_cast<float>(share), clipped_.data());
    }
    return clipped_.data();
  }

  std::vector<float> clipped_;  // scratch; empty where nothing is clipped
};

class Sgd : public RuleBase {
 public:
  using RuleBase::RuleBase;

  void Apply(int64_t step, float* values, const float* gradients) override {
    SgdStep(size_, Rate(step), weight_decay(), gradients, values);
  }
};

// Without dampening, so the velocity of the first step is its gradient.
class Momentum : public RuleBase {
 public:
  Momentum(const OptimizerConfig& config, int64_t size) : RuleBase(config, size) { AddState("momentum_buffer", 0); }

  void Apply(int64_t step, float* values, const float* gradients) override {
    MomentumStep(size_, Rate(step), static_cast<float>(config_.momentum().momentum()), config_.momentum().nesterov(),
                 weight_decay(), gradients, states_[0].values.data(), values);
  }
};

class AdaGrad : public RuleBase {
 public:
  AdaGrad(const OptimizerConfig& config, int64_t size) : RuleBase(config, size) {
    AddState("sum", static_cast<float>(config.adagrad().initial_accumulator()));
  }

  void Apply(int64_t step, float* values, const float* gradients) override {
    AdaGradStep(size_, Rate(step), weight_decay(), static_cast<float>(config_.adagrad().eps()), gradients,
                states_[0].values.data(), values);
  }
};

class Adam : public RuleBase {
 public:
  Adam(const OptimizerConfig& config, int64_t size) : RuleBase(config, size) {
    AddState("exp_avg", 0);
    AddState("exp_avg_sq", 0);
    if (config.adam().amsgrad()) AddState("max_exp_avg_sq", 0);
  }

  void Apply(int64_t step, float* values, const float* gradients) override {
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
    float* means = states_[0].values.data();
    float* squares = states_[1].values.data();
    if (config_.adam().amsgrad()) {
      AmsgradStep(size_, factors, gradients, means, squares, states_[2].values.data(), values);
    } else {
      AdamStep(size_, factors, gradients, means, squares, values);
    }
  }
};

}  // namespace

Result<std::unique_ptr<DenseOptimizer>> DenseOptimizer::Make(const OptimizerConfig& config, int64_t size) {
  switch (config.rule_case()) {
    case OptimizerConfig::kSgd:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<Sgd>(config, size));
    case OptimizerConfig::kMomentum:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<Momentum>(config, size));
    case OptimizerConfig::kAdagrad:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<AdaGrad>(config, size));
    case OptimizerConfig::kAdam:
    case OptimizerConfig::RULE_NOT_SET:
      return std::unique_ptr<DenseOptimizer>(std::make_unique<Adam>(config, size));
    case OptimizerConfig::kRowwiseAdagrad:
    case OptimizerConfig::kFtrl:
    case OptimizerConfig::kGroupLassoFtrl:
      break;
  }
  return InvalidArgument(
      fmt::format("optimizers.dense: expected sgd, momentum, adagrad or adam, found {}, which is for rows only",
                  RowRuleName(config)));
}

}  // namespace weir
