// Pooling: from the rows of a feature's values to one vector a sample, and back. Leaf functions on arrays, with the
// same bits for every Isa.
#pragma once

#include <cstdint>
#include <span>

#include "base/isa.h"
#include "proto/job.pb.h"

namespace weir {

// The values of one feature over a batch, as numbers of distinct keys.
struct PooledFeature {
  int dim = 0;
  std::span<const int32_t> numbers;  // [values]
  // [samples + 1]; empty when each sample has exactly one value, which is the fast case.
  std::span<const int32_t> offsets;
  SparseConfig::Pooling pooling = SparseConfig::SUM;
  std::span<const float> weights;  // [values] for WEIGHTED_SUM, not read otherwise
  int max_length = 0;              // for NONE, at least 1

  int64_t num_samples() const { return offsets.empty() ? numbers.size() : offsets.size() - 1; }
  // Floats of a sample's pooled vector.
  int64_t width() const { return pooling == SparseConfig::NONE ? int64_t{max_length} * dim : dim; }
};

// pooled + i * stride: [width] of sample i, from rows [distinct, dim]; a sample without values gets zeros.
// SUM: its rows added in order. MEAN: that, divided by their number. WEIGHTED_SUM: each row times its value's weight,
// added in order. MAX: the largest of each column, a NaN only where it comes first. NONE: the first max_length rows
// side by side, then zeros.
void PoolForward(const PooledFeature& feature, const float* rows, float* pooled, int64_t stride, Isa isa = BestIsa());

// Adds to gradients [distinct, dim], in sample order, once for each value. Its row gets of the sample's gradient: all
// (SUM), it divided by the number of values (MEAN), it times the value's weight (WEIGHTED_SUM), the columns where it
// was the first to be largest (MAX; rows as in the forward pass, which no other pooling reads), the part at its place
// (NONE).
void PoolBackward(const PooledFeature& feature, const float* rows, const float* pooled_gradient, int64_t stride,
                  float* gradients, Isa isa = BestIsa());

}  // namespace weir
