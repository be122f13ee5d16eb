// FTRL-proximal per coordinate (McMahan et al., Ad Click Prediction: a View from the Trenches, 2013, Algorithm 1);
// alpha is the learning rate. Two things are ours:
//  - A column that has had no gradient but 0 has n = 0. Its z is then taken from the weight, so that the rule goes on
//    from the row's initial weight instead of losing it; from weight 0 that is z = 0, as in the paper.
//  - A schedule scales the gradients that z sums, not alpha, which stands for the curvature of all steps so far: without
//    l1, l2 and beta the rule is AdaGrad at the scheduled rate.
#include <cmath>

#include <glog/logging.h>

#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class FtrlRule {
 public:
  explicit FtrlRule(const OptimizerConfig& config)
      : alpha_(config.learning_rate()),
        inverse_alpha_(static_cast<float>(1 / alpha_)),
        beta_(static_cast<float>(config.ftrl().beta())),
        l1_(static_cast<float>(config.ftrl().l1())),
        l2_(static_cast<float>(config.ftrl().l2())) {
    CHECK_GT(alpha_, 0);
  }

  void BeginStep(int64_t, double learning_rate) { factor_ = static_cast<float>(learning_rate / alpha_); }

  // state: z [dim], then n, the sum of squared gradients [dim].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    float* __restrict z = state;
    float* __restrict n = state + dim;
    for (int i = 0; i < dim; ++i) {
      const float w = weights[i], g = gradient[i];
      const float root = std::sqrt(n[i]);
      const float sum = n[i] + g * g;
      const float new_root = std::sqrt(sum);
      const float first = -(w * Curvature(root)) - Penalty(w);
      const float before = n[i] == 0 ? first : z[i];
      const float after = before + factor_ * g - (new_root - root) * inverse_alpha_ * w;
      const float shrunk = std::fabs(after) <= l1_ ? 0.0f : after - Penalty(after);
      const bool untouched = sum == 0;
      z[i] = untouched ? z[i] : after;
      n[i] = sum;
      weights[i] = untouched ? w : 0.0f - shrunk / Curvature(new_root);
    }
  }

 private:
  float Curvature(float root) const { return (beta_ + root) * inverse_alpha_ + l2_; }
  // l1 with the sign of x; 0 for 0.
  float Penalty(float x) const { return x == 0 ? 0.0f : std::copysign(l1_, x); }

  double alpha_;
  float inverse_alpha_;
  float beta_;
  float l1_;
  float l2_;
  float factor_ = 1;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig&) { return {{"z", dim, 0}, {"n", dim, 0}}; }

}  // namespace

const RowRule kFtrlRule = {"ftrl", OptimizerConfig::kFtrl, State, RowOptimizerOf<FtrlRule>::Make};

}  // namespace weir
