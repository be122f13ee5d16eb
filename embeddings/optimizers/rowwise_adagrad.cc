// Row-wise AdaGrad, as FBGEMM's EXACT_ROWWISE_ADAGRAD: one accumulator a row, the sum over steps of the mean over the
// row's columns of the squared gradient.
#include <cmath>

#include "embeddings/optimizers/lanes.h"
#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class RowWiseAdaGradRule {
 public:
  explicit RowWiseAdaGradRule(const OptimizerConfig& config)
      : eps_(static_cast<float>(config.rowwise_adagrad().eps())) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  // state: the accumulator [1].
  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    const float squares = SumInLanes<float>(dim, [=](int i) { return gradient[i] * gradient[i]; });
    state[0] = state[0] + squares / static_cast<float>(static_cast<int>(dim));
    const float rate = learning_rate_ / (std::sqrt(state[0]) + eps_);
    for (int i = 0; i < dim; ++i) weights[i] = weights[i] - rate * gradient[i];
  }

 private:
  float eps_;
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int, const OptimizerConfig&) { return {{"sum", 1, 0}}; }

}  // namespace

const RowRule kRowWiseAdaGradRule = {"rowwise_adagrad", OptimizerConfig::kRowwiseAdagrad, State,
                                     RowOptimizerOf<RowWiseAdaGradRule>::Make};

}  // namespace weir
