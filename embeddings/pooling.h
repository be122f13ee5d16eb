// Pooling: from the rows of a feature's values to one vector a sample, and back. Leaf functions on arrays.
#pragma once

#include <cstdint>
#include <span>

#include "proto/job.pb.h"

namespace weir {

// The values of one feature over a batch, as numbers of distinct keys.
struct PooledFeature {
  int dim = 0;
  std::span<const int32_t> numbers;  // [values]
  // [samples + 1]; empty when each sample has exactly one value, which is the fast case.
  std::span<const int32_t> offsets;
  SparseConfig::Pooling pooling = SparseConfig::SUM;

  int64_t num_samples() const { return offsets.empty() ? numbers.size() : offsets.size() - 1; }
};

// pooled + i * stride: [dim] of sample i: the sum of its rows in order, or that sum divided by their number; zeros for
// none. rows: [distinct, dim].
void PoolForward(const PooledFeature& feature, const float* rows, float* pooled, int64_t stride);

// Adds to gradients [distinct, dim], in sample order: a row gets the sample's gradient (sum), or it divided by the
// number of the sample's values (mean), once for each of its values.
void PoolBackward(const PooledFeature& feature, const float* pooled_gradient, int64_t stride, float* gradients);

}  // namespace weir
