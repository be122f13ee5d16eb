// RowOptimizer: how a row learns from its gradient. One rule a file in this folder, listed in row_optimizer.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "embeddings/dim_dispatch.h"
#include "embeddings/row_layout.h"
#include "embeddings/schedule.h"
#include "proto/job.pb.h"

namespace weir {

// One per table; used by the table's owner thread. Arithmetic is float32, in one order whatever the instruction set:
// the same inputs give the same bits on all processors. Step constants are computed in float64 and rounded once.
class RowOptimizer {
 public:
  virtual ~RowOptimizer() = default;

  // Step the updates that follow belong to, 1-based: sets learning rate and bias corrections.
  virtual void BeginStep(int64_t step) = 0;

  // rows[i]: a row's floats [layout.width()], weights and then state; gradients: [rows.size(), dim]. Rows are distinct.
  virtual void Update(std::span<float* const> rows, const float* gradients) = 0;
};

// A rule as it is registered.
struct RowRule {
  const char* name;  // the field of OptimizerConfig.rule
  OptimizerConfig::RuleCase rule;
  std::vector<StateColumn> (*state)(int dim, const OptimizerConfig& config);
  std::unique_ptr<RowOptimizer> (*make)(int dim, const OptimizerConfig& config);
};

// Row-wise AdaGrad where no rule is set.
const RowRule& FindRowRule(OptimizerConfig::RuleCase rule);

extern const RowRule kSgdRule;
extern const RowRule kAdaGradRule;
extern const RowRule kRowWiseAdaGradRule;
extern const RowRule kAdamRule;

// The gradient that a rule sees at column i: L2 decay adds weight_decay * weight. Without decay nothing is added, so
// that not even the sign of a zero changes.
template <bool kDecay>
inline float DecayedGradient(const float* gradient, const float* weights, float weight_decay, int i) {
  if constexpr (kDecay) return gradient[i] + weight_decay * weights[i];
  return gradient[i];
}

// Makes a RowOptimizer of a Rule with
//   explicit Rule(const OptimizerConfig&);
//   void BeginStep(int64_t step, double learning_rate);
//   template <bool kDecay, typename Dim> void Row(Dim dim, float* weights, float* state, const float* gradient) const;
template <typename Rule>
class RowOptimizerOf : public RowOptimizer {
 public:
  RowOptimizerOf(int dim, const OptimizerConfig& config) : dim_(dim), config_(config), rule_(config) {}

  void BeginStep(int64_t step) override { rule_.BeginStep(step, LearningRate(config_, step)); }

  void Update(std::span<float* const> rows, const float* gradients) override {
    const bool decay = config_.weight_decay() != 0;
    DispatchDim(dim_, [&](auto dim) { decay ? Rows<true>(dim, rows, gradients) : Rows<false>(dim, rows, gradients); });
  }

  static std::unique_ptr<RowOptimizer> Make(int dim, const OptimizerConfig& config) {
    return std::make_unique<RowOptimizerOf>(dim, config);
  }

 private:
  template <bool kDecay, typename Dim>
  void Rows(Dim dim, std::span<float* const> rows, const float* gradients) const {
    const Rule rule = rule_;  // a copy: the compiler then knows that writing rows does not change it
    for (size_t i = 0; i < rows.size(); ++i) {
      rule.template Row<kDecay>(dim, rows[i], rows[i] + dim, gradients + i * dim);
    }
  }

  const int dim_;
  const OptimizerConfig config_;
  Rule rule_;
};

}  // namespace weir
