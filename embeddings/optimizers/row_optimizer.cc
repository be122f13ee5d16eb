#include "embeddings/optimizers/row_optimizer.h"

#include <glog/logging.h>

#include "embeddings/optimizers/row_rule.h"

namespace weir {
namespace {

const RowRule& FindRowRule(OptimizerConfig::RuleCase rule) {
  if (rule == OptimizerConfig::RULE_NOT_SET) return kRowWiseAdaGradRule;
  for (const RowRule* known :
       {&kSgdRule, &kMomentumRule, &kAdaGradRule, &kRowWiseAdaGradRule, &kAdamRule, &kFtrlRule, &kGroupLassoFtrlRule}) {
    if (known->rule == rule) return *known;
  }
  LOG(FATAL) << "optimizer rule " << rule << " has no form for rows";
}

}  // namespace

std::unique_ptr<RowOptimizer> MakeRowOptimizer(const RowLayout& layout, const OptimizerConfig& config,
                                               uint64_t table_seed, Isa isa) {
  return FindRowRule(config.rule_case()).make(layout, config, table_seed, isa);
}

std::vector<StateColumn> RowStateColumns(int dim, const OptimizerConfig& config) {
  return FindRowRule(config.rule_case()).state(dim, config);
}

const char* RowRuleName(const OptimizerConfig& config) { return FindRowRule(config.rule_case()).name; }

}  // namespace weir
