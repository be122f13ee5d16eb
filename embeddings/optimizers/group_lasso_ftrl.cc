// FTRL-proximal with a group-lasso penalty on each row (Ni et al., Feature Selection for FTRL-based Optimization in
// Large-Scale CTR Applications, 2019). With u_i = z_i - sign(z_i) * l1 where |z_i| > l1, else 0, and
// t = l21 * sqrt(dim), the weights are 0 where |u| <= t, else w_i = -u_i * (1 - t / |u|) / ((beta + sqrt(n_i)) / alpha
// + l2). Schedule and initial weights are as in ftrl.cc, but per row: the z of a row whose n are all 0 is the one that
// its weights would come from.
#include <cmath>

#include <glog/logging.h>

#include "embeddings/optimizers/lanes.h"
#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class GroupLassoFtrlRule {
 public:
  explicit GroupLassoFtrlRule(const OptimizerConfig& config)
      : alpha_(config.learning_rate()),
        inverse_alpha_(static_cast<float>(1 / alpha_)),
        beta_(static_cast<float>(config.group_lasso_ftrl().beta())),
        l1_(static_cast<float>(config.group_lasso_ftrl().l1())),
        l2_(static_cast<float>(config.group_lasso_ftrl().l2())),
        l21_(static_cast<float>(config.group_lasso_ftrl().l21())) {
    CHECK_GT(alpha_, 0);
  }

  void BeginStep(int64_t, double learning_rate) { factor_ = static_cast<float>(learning_rate / alpha_); }

  // state: z [dim], then n, the sum of squared gradients [dim].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    float* __restrict z = state;
    float* __restrict n = state + dim;
    const float threshold = l21_ * std::sqrt(static_cast<float>(static_cast<int>(dim)));
    const float known = SumInLanes<float>(dim, [=](int i) { return n[i]; });
    if (known == 0) {
      if (SumInLanes<float>(dim, [=](int i) { return gradient[i] * gradient[i]; }) == 0) return;
      TakeInitialWeights(dim, threshold, weights, z);
    }
    for (int i = 0; i < dim; ++i) {
      const float g = gradient[i];
      const float root = std::sqrt(n[i]);
      n[i] = n[i] + g * g;
      z[i] = z[i] + factor_ * g - (std::sqrt(n[i]) - root) * inverse_alpha_ * weights[i];
    }
    const float norm = std::sqrt(SumInLanes<float>(dim, [=, this](int i) { return Shrunk(z[i]) * Shrunk(z[i]); }));
    const float share = norm <= threshold ? 0.0f : 1 - threshold / norm;
    for (int i = 0; i < dim; ++i) {
      const float w = 0.0f - Shrunk(z[i]) * share / Curvature(std::sqrt(n[i]));
      weights[i] = share == 0 ? 0.0f : w;
    }
  }

 private:
  template <typename Dim>
  void TakeInitialWeights(Dim dim, float threshold, const float* __restrict weights, float* __restrict z) const {
    const float curvature = Curvature(0);
    const float norm =
        std::sqrt(SumInLanes<float>(dim, [=](int i) { return (weights[i] * curvature) * (weights[i] * curvature); }));
    const float stretch = norm == 0 ? 1.0f : 1 + threshold / norm;
    for (int i = 0; i < dim; ++i) z[i] = -(weights[i] * curvature * stretch) - Penalty(weights[i]);
  }

  float Curvature(float root) const { return (beta_ + root) * inverse_alpha_ + l2_; }
  // l1 with the sign of x; 0 for 0.
  float Penalty(float x) const { return x == 0 ? 0.0f : std::copysign(l1_, x); }
  float Shrunk(float x) const { return std::fabs(x) <= l1_ ? 0.0f : x - Penalty(x); }

  double alpha_;
  float inverse_alpha_;
  float beta_;
  float l1_;
  float l2_;
  float l21_;
  float factor_ = 1;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig&) { return {{"z", dim, 0}, {"n", dim, 0}}; }

}  // namespace

const RowRule kGroupLassoFtrlRule = {"group_lasso_ftrl", OptimizerConfig::kGroupLassoFtrl, State,
                                     RowOptimizerOf<GroupLassoFtrlRule>::Make};

}  // namespace weir
