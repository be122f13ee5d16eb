// Adam (Kingma and Ba, 2015) on touched rows, as torch.optim.SparseAdam: rows that a step does not touch keep their
// moments, and the bias is corrected by the global step.
#include <cmath>

#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

// base^exponent by squaring: multiplications only, so the same bits everywhere.
double Power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base) {
    if (exponent & 1) result *= base;
  }
  return result;
}

class AdamRule {
 public:
  explicit AdamRule(const OptimizerConfig& config)
      : beta1_(config.adam().beta1()),
        beta2_(config.adam().beta2()),
        weight_decay_(static_cast<float>(config.weight_decay())),
        eps_(static_cast<float>(config.adam().eps())),
        gain1_(static_cast<float>(1 - beta1_)),
        gain2_(static_cast<float>(1 - beta2_)) {}

  void BeginStep(int64_t step, double learning_rate) {
    const double correction1 = 1 - Power(beta1_, step);
    const double correction2 = 1 - Power(beta2_, step);
    step_size_ = static_cast<float>(learning_rate * std::sqrt(correction2) / correction1);
  }

  // state: the mean of gradients [dim], then the mean of their squares [dim].
  template <bool kDecay, typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    float* __restrict mean = state;
    float* __restrict square = state + dim;
    for (int i = 0; i < dim; ++i) {
      const float g = DecayedGradient<kDecay>(gradient, weights, weight_decay_, i);
      mean[i] = mean[i] + (g - mean[i]) * gain1_;
      square[i] = square[i] + (g * g - square[i]) * gain2_;
      weights[i] = weights[i] - step_size_ * mean[i] / (std::sqrt(square[i]) + eps_);
    }
  }

 private:
  double beta1_;
  double beta2_;
  float weight_decay_;
  float eps_;
  float gain1_;
  float gain2_;
  float step_size_ = 0;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig&) {
  return {{"exp_avg", dim, 0}, {"exp_avg_sq", dim, 0}};
}

}  // namespace

const RowRule kAdamRule = {"adam", OptimizerConfig::kAdam, State, RowOptimizerOf<AdamRule>::Make};

}  // namespace weir
