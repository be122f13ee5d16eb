// AdaGrad (Duchi, Hazan and Singer, 2011), as torch.optim.Adagrad: eps outside the root.
#include <cmath>

#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class AdaGradRule {
 public:
  explicit AdaGradRule(const OptimizerConfig& config) : eps_(static_cast<float>(config.adagrad().eps())) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  // state: the sum of squared gradients [dim].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    for (int i = 0; i < dim; ++i) {
      const float g = gradient[i];
      state[i] = state[i] + g * g;
      weights[i] = weights[i] - learning_rate_ * g / (std::sqrt(state[i]) + eps_);
    }
  }

 private:
  float eps_;
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig& config) {
  return {{"sum", dim, static_cast<float>(config.adagrad().initial_accumulator())}};
}

}  // namespace

const RowRule kAdaGradRule = {"adagrad", OptimizerConfig::kAdagrad, State, RowOptimizerOf<AdaGradRule>::Make};

}  // namespace weir
