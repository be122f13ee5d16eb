// What the rules for rows share: how one is registered, and the loop over rows around its arithmetic.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "embeddings/dim_dispatch.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/schedule.h"

namespace weir {

// A rule as it is registered.
struct RowRule {
  const char* name;  // the field of OptimizerConfig.rule
  OptimizerConfig::RuleCase rule;
  std::vector<StateColumn> (*state)(int dim, const OptimizerConfig& config);
  std::unique_ptr<RowOptimizer> (*make)(const RowLayout& layout, const OptimizerConfig& config, uint64_t table_seed,
                                        Isa isa);
};

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
  RowOptimizerOf(const RowLayout& layout, const OptimizerConfig& config, Isa isa)
      : dim_(layout.dim), isa_(isa), config_(config), rule_(config) {}

  void BeginStep(int64_t step) override { rule_.BeginStep(step, LearningRate(config_, step)); }

  void Update(std::span<const RowRef> rows, const float* gradients) override {
    switch (isa_) {
      case Isa::kScalar:
        return Dispatch(rows, gradients);
      case Isa::kAvx2:
        return UpdateAvx2(rows, gradients);
      case Isa::kAvx512:
        return UpdateAvx512(rows, gradients);
    }
  }

  static std::unique_ptr<RowOptimizer> Make(const RowLayout& layout, const OptimizerConfig& config, uint64_t, Isa isa) {
    return std::make_unique<RowOptimizerOf>(layout, config, isa);
  }

 private:
  WEIR_TARGET_AVX2 void UpdateAvx2(std::span<const RowRef> rows, const float* gradients) const {
    Dispatch(rows, gradients);
  }
  WEIR_TARGET_AVX512 void UpdateAvx512(std::span<const RowRef> rows, const float* gradients) const {
    Dispatch(rows, gradients);
  }

  void Dispatch(std::span<const RowRef> rows, const float* gradients) const {
    const bool decay = config_.weight_decay() != 0;
    DispatchDim(dim_, [&](auto dim) { decay ? Rows<true>(dim, rows, gradients) : Rows<false>(dim, rows, gradients); });
  }

  template <bool kDecay, typename Dim>
  void Rows(Dim dim, std::span<const RowRef> rows, const float* gradients) const {
    const Rule rule = rule_;  // a copy: the compiler then knows that writing rows does not change it
    for (size_t i = 0; i < rows.size(); ++i) {
      rule.template Row<kDecay>(dim, static_cast<float*>(rows[i].weights), rows[i].state, gradients + i * dim);
    }
  }

  const int dim_;
  const Isa isa_;
  const OptimizerConfig config_;
  Rule rule_;
};

}  // namespace weir
