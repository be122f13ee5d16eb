// Adam (Kingma and Ba, 2015) on touched rows, as torch.optim.SparseAdam: rows that a step does not touch keep their
// moments, and the bias is corrected by the global step. AMSGrad (Reddi, Kale and Kumar, 2018), which SparseAdam lacks,
// as torch.optim.Adam(amsgrad=True), whose eps is not scaled by the correction.
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
        amsgrad_(config.adam().amsgrad()),
        eps_(static_cast<float>(config.adam().eps())),
        gain1_(static_cast<float>(1 - beta1_)),
        gain2_(static_cast<float>(1 - beta2_)) {}

  void BeginStep(int64_t step, double learning_rate) {
    const double correction1 = 1 - Power(beta1_, step);
    const double root2 = std::sqrt(1 - Power(beta2_, step));
    step_size_ = static_cast<float>(learning_rate * root2 / correction1);
    amsgrad_step_size_ = static_cast<float>(learning_rate / correction1);
    root2_ = static_cast<float>(root2);
  }

  // state: the mean of gradients [dim], the mean of their squares [dim]; for AMSGrad the largest such mean [dim].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    float* __restrict mean = state;
    float* __restrict square = state + dim;
    if (amsgrad_) {
      float* __restrict largest = state + 2 * dim;
      for (int i = 0; i < dim; ++i) {
        Moments(gradient[i], &mean[i], &square[i]);
        largest[i] = square[i] > largest[i] ? square[i] : largest[i];
        weights[i] = weights[i] - amsgrad_step_size_ * mean[i] / (std::sqrt(largest[i]) / root2_ + eps_);
      }
      return;
    }
    for (int i = 0; i < dim; ++i) {
      Moments(gradient[i], &mean[i], &square[i]);
      weights[i] = weights[i] - step_size_ * mean[i] / (std::sqrt(square[i]) + eps_);
    }
  }

 private:
  void Moments(float g, float* mean, float* square) const {
    *mean = *mean + (g - *mean) * gain1_;
    *square = *square + (g * g - *square) * gain2_;
  }

  double beta1_;
  double beta2_;
  bool amsgrad_;
  float eps_;
  float gain1_;
  float gain2_;
  float step_size_ = 0;
  float amsgrad_step_size_ = 0;
  float root2_ = 1;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig& config) {
  std::vector<StateColumn> state = {{"exp_avg", dim, 0}, {"exp_avg_sq", dim, 0}};
  if (config.adam().amsgrad()) state.push_back({"max_exp_avg_sq", dim, 0});
  return state;
}

}  // namespace

const RowRule kAdamRule = {"adam", OptimizerConfig::kAdam, State, RowOptimizerOf<AdamRule>::Make};

}  // namespace weir
