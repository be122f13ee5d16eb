#include "embeddings/optimizers/row_optimizer.h"

#include <glog/logging.h>

namespace weir {

const RowRule& FindRowRule(OptimizerConfig::RuleCase rule) {
  if (rule == OptimizerConfig::RULE_NOT_SET) return kRowWiseAdaGradRule;
  for (const RowRule* known : {&kSgdRule, &kAdaGradRule, &kRowWiseAdaGradRule, &kAdamRule}) {
    if (known->rule == rule) return *known;
  }
  LOG(FATAL) << "optimizer rule " << rule << " has no form for rows";
}

}  // namespace weir
