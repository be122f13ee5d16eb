#include "embeddings/row_layout.h"

#include "embeddings/optimizers/row_optimizer.h"

namespace weir {

RowLayout MakeRowLayout(int dim, const OptimizerConfig& optimizer, TableConfig::WeightType weight_type) {
  return {dim, RowStateColumns(dim, optimizer), weight_type};
}

}  // namespace weir
