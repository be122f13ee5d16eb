// What the rules for rows share: how one is registered, and the loop over rows around its arithmetic.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "embeddings/bfloat16.h"
#include "embeddings/dim_dispatch.h"
#include "embeddings/optimizers/row_gradient.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/optimizers/stochastic_rounding.h"
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
extern const RowRule kMomentumRule;
extern const RowRule kAdaGradRule;
extern const RowRule kRowWiseAdaGradRule;
extern const RowRule kAdamRule;
extern const RowRule kFtrlRule;
extern const RowRule kGroupLassoFtrlRule;

// Makes a RowOptimizer of a Rule with
//   explicit Rule(const OptimizerConfig&);
//   void BeginStep(int64_t step, double learning_rate);
//   template <typename Dim> void Row(Dim dim, float* weights, float* state, const float* gradient) const;
// A row whose weights are float32 and whose gradient stays as it is is trained in place. Else weights and gradient pass
// through scratch, which stays in the first cache.
template <typename Rule>
class RowOptimizerOf : public RowOptimizer {
 public:
  RowOptimizerOf(const RowLayout& layout, const OptimizerConfig& config, uint64_t table_seed, Isa isa)
      : dim_(layout.dim),
        isa_(isa),
        bfloat16_(layout.weight_type == TableConfig::BFLOAT16),
        config_(config),
        prepare_(config),
        rounding_(table_seed),
        rule_(config),
        weights_(layout.dim),
        gradient_(layout.dim) {}

  void BeginStep(int64_t step) override {
    rounding_.BeginStep(step);
    rule_.BeginStep(step, LearningRate(config_, step));
  }

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

  static std::unique_ptr<RowOptimizer> Make(const RowLayout& layout, const OptimizerConfig& config, uint64_t table_seed,
                                            Isa isa) {
    return std::make_unique<RowOptimizerOf>(layout, config, table_seed, isa);
  }

 private:
  WEIR_TARGET_AVX2 void UpdateAvx2(std::span<const RowRef> rows, const float* gradients) { Dispatch(rows, gradients); }
  WEIR_TARGET_AVX512 void UpdateAvx512(std::span<const RowRef> rows, const float* gradients) {
    Dispatch(rows, gradients);
  }

  void Dispatch(std::span<const RowRef> rows, const float* gradients) {
    const bool in_place = !bfloat16_ && !prepare_.changes();
    DispatchDim(dim_, [&](auto dim) {
      in_place ? TrainInPlace(dim, rows, gradients) : TrainThroughScratch(dim, rows, gradients);
    });
  }

  template <typename Dim>
  void TrainInPlace(Dim dim, std::span<const RowRef> rows, const float* gradients) const {
    const Rule rule = rule_;  // a copy: the compiler then knows that writing rows does not change it
    for (size_t i = 0; i < rows.size(); ++i) {
      rule.Row(dim, static_cast<float*>(rows[i].weights), rows[i].state, gradients + i * dim);
    }
  }

  template <typename Dim>
  void TrainThroughScratch(Dim dim, std::span<const RowRef> rows, const float* gradients) {
    const Rule rule = rule_;
    const RowGradient prepare = prepare_;
    const StochasticRounding rounding = rounding_;
    const bool bfloat16 = bfloat16_, changes = prepare_.changes();
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* gradient = gradients + i * dim;
      float* weights = static_cast<float*>(rows[i].weights);
      if (bfloat16) {
        weights = weights_.data();
        LoadBfloat16(rows[i].weights, dim, weights);
      }
      if (changes) {
        prepare.Prepare(dim, gradient, weights, gradient_.data());
        gradient = gradient_.data();
      }
      rule.Row(dim, weights, rows[i].state, gradient);
      if (bfloat16) rounding.Store(dim, rows[i].key, weights, rows[i].weights);
    }
  }

  const int dim_;
  const Isa isa_;
  const bool bfloat16_;
  const OptimizerConfig config_;
  const RowGradient prepare_;
  StochasticRounding rounding_;
  Rule rule_;
  std::vector<float> weights_;   // scratch, [dim]
  std::vector<float> gradient_;  // scratch, [dim]
};

}  // namespace weir
