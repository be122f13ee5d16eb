// DLRM's dot interaction (Naumov et al., 2019, section 2.1.3) on plain memory: the products of all pairs of a sample's
// vectors, forward and backward.
#pragma once

#include <cstdint>

namespace weir {

// A sample has `count` vectors of `dim` floats: first the one of `first` (if has_first), then those of `rest`.
// The pairs (i, j) with i > j stand in the order (1,0), (2,0), (2,1), (3,0), ...: PyTorch's tril_indices(n, n, -1).
struct DotInteractionShape {
  int64_t samples = 0;
  int64_t count = 0;  // vectors of a sample, that of `first` included
  int64_t dim = 0;
  bool has_first = false;

  int64_t rest_count() const { return count - (has_first ? 1 : 0); }
  // Floats of a row of `first` and of `rest`.
  int64_t first_width() const { return has_first ? dim : 0; }
  int64_t rest_width() const { return rest_count() * dim; }
  int64_t pairs() const { return count * (count - 1) / 2; }
  // Floats of an output row: the first vector, if there is one, then the pairs.
  int64_t output_width() const { return first_width() + pairs(); }
};

// first: [samples, dim] (not read unless has_first), rest: [samples, rest_count * dim], outputs: [samples,
// output_width]; all row-major.
void DotInteractionForward(const DotInteractionShape& shape, const float* first, const float* rest, float* outputs);

// output_gradients: [samples, output_width]; writes first_gradients [samples, dim] and rest_gradients
// [samples, rest_count * dim].
void DotInteractionBackward(const DotInteractionShape& shape, const float* first, const float* rest,
                            const float* output_gradients, float* first_gradients, float* rest_gradients);

}  // namespace weir
