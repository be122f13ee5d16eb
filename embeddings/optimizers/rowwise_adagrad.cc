// Row-wise AdaGrad, as FBGEMM's EXACT_ROWWISE_ADAGRAD: one accumulator a row, the sum over steps of the mean over the
// row's columns of the squared gradient.
#include <cmath>

#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

// The sum of squares runs in this many lanes, column i in lane i % kLanes, which are then added in pairs: a fixed order
// that fills the registers of any instruction set.
constexpr int kLanes = 8;

class RowWiseAdaGradRule {
 public:
  explicit RowWiseAdaGradRule(const OptimizerConfig& config)
      : weight_decay_(static_cast<float>(config.weight_decay())),
        eps_(static_cast<float>(config.rowwise_adagrad().eps())) {}

  void BeginStep(int64_t, double learning_rate) { learning_rate_ = static_cast<float>(learning_rate); }

  // state: the accumulator [1].
  template <bool kDecay, typename Dim>
  void Row(Dim dim, float* __restrict weights, float* __restrict state, const float* __restrict gradient) const {
    float lanes[kLanes] = {};
    const int tail = dim % kLanes;
    const int whole = dim - tail;
    for (int i = 0; i < whole; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float g = DecayedGradient<kDecay>(gradient, weights, weight_decay_, i + lane);
        lanes[lane] = lanes[lane] + g * g;
      }
    }
    for (int lane = 0; lane < tail; ++lane) {
      const float g = DecayedGradient<kDecay>(gradient, weights, weight_decay_, whole + lane);
      lanes[lane] = lanes[lane] + g * g;
    }
    for (int width = kLanes / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) lanes[lane] = lanes[lane] + lanes[lane + width];
    }
    state[0] = state[0] + lanes[0] / static_cast<float>(static_cast<int>(dim));
    const float rate = learning_rate_ / (std::sqrt(state[0]) + eps_);
    for (int column = 0; column < dim; ++column) {
      const float g = DecayedGradient<kDecay>(gradient, weights, weight_decay_, column);
      weights[column] = weights[column] - rate * g;
    }
  }

 private:
  float weight_decay_;
  float eps_;
  float learning_rate_ = 0;
};

std::vector<StateColumn> State(int, const OptimizerConfig&) { return {{"sum", 1, 0}}; }

}  // namespace

const RowRule kRowWiseAdaGradRule = {"rowwise_adagrad", OptimizerConfig::kRowwiseAdagrad, State,
                                     RowOptimizerOf<RowWiseAdaGradRule>::Make};

}  // namespace weir
