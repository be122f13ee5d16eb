// Momentum on touched rows, as torch.optim.SGD(momentum, nesterov) without dampening: the velocity of a row's first
// step is its gradient, and a row that a step does not touch keeps its velocity.
#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class MomentumRule {
 public:
  explicit MomentumRule(const OptimizerConfig& config)
      : momentum_(static_cast<float>(config.momentum().momentum())), nesterov_(config.momentum().nesterov()) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  // state: the velocity [dim].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    for (int i = 0; i < dim; ++i) {
      state[i] = momentum_ * state[i] + gradient[i];
      const float direction = nesterov_ ? gradient[i] + momentum_ * state[i] : state[i];
      weights[i] = weights[i] - learning_rate_ * direction;
    }
  }

 private:
  float momentum_;
  bool nesterov_;
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int dim, const OptimizerConfig&) { return {{"momentum_buffer", dim, 0}}; }

}  // namespace

const RowRule kMomentumRule = {"momentum", OptimizerConfig::kMomentum, State, RowOptimizerOf<MomentumRule>::Make};

}  // namespace weir
