// The second-order term of a factorisation machine (Rendle, 2010, lemma 3.1).
#pragma once

#include <torch/types.h>

namespace weir {

// factors: [samples, fields, k], each field's factors times its value. Returns [samples]: the sum over all pairs of
// fields of the products of their factors, as half of (square of sums - sum of squares), linear in the number of
// fields.
torch::Tensor SecondOrderTerm(const torch::Tensor& factors);

}  // namespace weir
