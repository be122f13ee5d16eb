// Stochastic gradient descent: w -= lr * g.
#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

class SgdRule {
 public:
  explicit SgdRule(const OptimizerConfig&) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  template <typename Dim>
  void Row(Dim dim, float* __restrict weights, float*, const float* __restrict gradient) const {
    for (int i = 0; i < dim; ++i) weights[i] = weights[i] - learning_rate_ * gradient[i];
  }

 private:
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int, const OptimizerConfig&) { return {}; }

}  // namespace

const RowRule kSgdRule = {"sgd", OptimizerConfig::kSgd, State, RowOptimizerOf<SgdRule>::Make};

}  // namespace weir
