// Stochastic gradient descent: w -= lr * g.
#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class SgdRule {
 public:
  explicit SgdRule(const OptimizerConfig& config) : weight_decay_(static_cast<float>(config.weight_decay())) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  template <bool kDecay, typename Dim>
  void Row(Dim dim, float* __restrict weights, float*, const float* __restrict gradient) const {
    for (int i = 0; i < dim; ++i) {
      const float g = DecayedGradient<kDecay>(gradient, weights, weight_decay_, i);
      weights[i] = weights[i] - learning_rate_ * g;
    }
  }

 private:
  float weight_decay_;
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int, const OptimizerConfig&) { return {}; }

}  // namespace

const RowRule kSgdRule = {"sgd", OptimizerConfig::kSgd, State, RowOptimizerOf<SgdRule>::Make};

}  // namespace weir
