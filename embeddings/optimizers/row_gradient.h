// RowGradient: what is done to a row's gradient before its rule sees it.
#pragma once

#include <cmath>
#include <limits>

#include "embeddings/optimizers/lanes.h"
#include "proto/job.pb.h"

namespace weir {

// In this order: clip_value limits each element, clip_norm scales the row down to the norm, as
// torch.nn.utils.clip_grad_value_ and clip_grad_norm_ do for a parameter; then L2 decay adds weight_decay * weight.
// What is not asked for changes nothing, not even the sign of a zero.
class RowGradient {
 public:
  explicit RowGradient(const OptimizerConfig& config)
      : limit_(config.clip_value() == 0 ? kNone : static_cast<float>(config.clip_value())),
        clip_norm_(config.clip_norm()),
        weight_decay_(static_cast<float>(config.weight_decay())) {}

  bool changes() const { return limit_ != kNone || clip_norm_ != 0 || weight_decay_ != 0; }

  // gradient, weights, result: [dim].
  template <typename Dim>
  void Prepare(Dim dim, const float* __restrict gradient, const float* __restrict weights,
               float* __restrict result) const {
    // Each loop reads what one before it wrote in whole registers, so that the store is forwarded.
    if (clip_norm_ == 0) {
      if (weight_decay_ == 0) {
        for (int i = 0; i < dim; ++i) result[i] = Limited(gradient[i]);
      } else {
        for (int i = 0; i < dim; ++i) result[i] = Limited(gradient[i]) + weight_decay_ * weights[i];
      }
      return;
    }
    // In float64: the squares of a gradient that explodes must not.
    const double squares = SumInLanes<double>(dim, [=, this](int i) {
      const double g = Limited(gradient[i]);
      return g * g;
    });
    const double share = clip_norm_ / (std::sqrt(squares) + 1e-6);
    const float factor = share < 1 ? static_cast<float>(share) : 1.0f;
    if (weight_decay_ == 0) {
      for (int i = 0; i < dim; ++i) result[i] = Limited(gradient[i]) * factor;
    } else {
      for (int i = 0; i < dim; ++i) result[i] = Limited(gradient[i]) * factor + weight_decay_ * weights[i];
    }
  }

 private:
  static constexpr float kNone = std::numeric_limits<float>::infinity();

  // A NaN stays one.
  float Limited(float g) const {
    const float limited = g < -limit_ ? -limit_ : g;
    return limited > limit_ ? limit_ : limited;
  }

  float limit_;  // infinity where there is none
  double clip_norm_;
  float weight_decay_;
};

}  // namespace weir
