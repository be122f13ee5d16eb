#include "embeddings/row_layout.h"

#include "embeddings/optimizers/row_optimizer.h"

namespace weir {

const char* WeightTypeName(TableConfig::WeightType type) {
  return type == TableConfig::BFLOAT16 ? "bfloat16" : "float32";
}

RowLayout MakeRowLayout(int dim, const OptimizerConfig& optimizer, TableConfig::WeightType weight_type) {
  return {dim, RowStateColumns(dim, optimizer), weight_type};
}

}  // namespace weir
