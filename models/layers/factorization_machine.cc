#include "models/layers/factorization_machine.h"

namespace weir {

torch::Tensor SecondOrderTerm(const torch::Tensor& factors) {
  const torch::Tensor sums = factors.sum(1);
  return 0.5 * (sums.square().sum(1) - factors.square().flatten(1).sum(1));
}

}  // namespace weir
