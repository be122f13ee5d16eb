#include "embeddings/row_layout.h"

#include "embeddings/optimizers/row_optimizer.h"

namespace weir {

RowLayout MakeRowLayout(int dim, const OptimizerConfig& optimizer) {
  return {dim, FindRowRule(optimizer.rule_case()).state(dim, optimizer)};
}

}  // namespace weir
