#include "models/layers/dot_interaction_kernel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "models/layers/vector_clones.h"

namespace weir {
namespace {

constexpr int64_t kLanes = 16;  // floats of the widest vector register
constexpr int64_t kRows = 4;    // rows of a tile: kRows sums run side by side, which hides the latency of an addition

constexpr int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// tile [kRows, kLanes] = the rows `a` [kRows, a_stride] times the columns `b` [inner, b_stride], added in ascending
// order of the inner index.
inline __attribute__((always_inline)) void MultiplyTile(int64_t inner, const float* __restrict a, int64_t a_stride,
                                                        const float* __restrict b, int64_t b_stride,
                                                        float* __restrict tile) {
  float sums[kRows][kLanes] = {};
  for (int64_t k = 0; k < inner; ++k) {
    for (int64_t r = 0; r < kRows; ++r) {
      const float factor = a[r * a_stride + k];
      for (int64_t l = 0; l < kLanes; ++l) sums[r][l] += factor * b[k * b_stride + l];
    }
  }
  std::memcpy(tile, sums, sizeof(sums));
}

// vectors [padded_count, dim] and its transpose [dim, padded_count] -> gram [padded_count, padded_count], of which only
// what stands below the diagonal, in the first `count` rows, is meant.
WEIR_VECTOR_CLONES void LowerGram(int64_t count, int64_t padded_count, int64_t dim, const float* vectors,
                                  const float* transposed, float* gram) {
  for (int64_t i = 0; i < count; i += kRows) {
    for (int64_t j = 0; j < i + kRows; j += kLanes) {
      float tile[kRows][kLanes];
      MultiplyTile(dim, vectors + i * dim, dim, transposed + j, padded_count, tile[0]);
      for (int64_t r = 0; r < kRows; ++r) std::memcpy(gram + (i + r) * padded_count + j, tile[r], sizeof(tile[r]));
    }
  }
}

// gram gradient [padded_count, padded_count] (symmetric, diagonal 0) times vectors [padded_count, padded_dim] ->
// gradients, shaped like the vectors.
WEIR_VECTOR_CLONES void MultiplyGram(int64_t count, int64_t padded_count, int64_t padded_dim, const float* gram,
                                     const float* vectors, float* gradients) {
  for (int64_t i = 0; i < count; i += kRows) {
    for (int64_t d = 0; d < padded_dim; d += kLanes) {
      float tile[kRows][kLanes];
      MultiplyTile(count, gram + i * padded_count, padded_count, vectors + d, padded_dim, tile[0]);
      for (int64_t r = 0; r < kRows; ++r) std::memcpy(gradients + (i + r) * padded_dim + d, tile[r], sizeof(tile[r]));
    }
  }
}

// Copies a sample's vectors to rows of `stride` floats.
void GatherVectors(const DotInteractionShape& shape, int64_t sample, const float* first, const float* rest,
                   int64_t stride, float* vectors) {
  const size_t bytes = static_cast<size_t>(shape.dim) * sizeof(float);
  if (shape.has_first) {
    std::memcpy(vectors, first + sample * shape.dim, bytes);
    vectors += stride;
  }
  const float* from = rest + sample * shape.rest_count() * shape.dim;
  for (int64_t i = 0; i < shape.rest_count(); ++i) std::memcpy(vectors + i * stride, from + i * shape.dim, bytes);
}

}  // namespace

void DotInteractionForward(const DotInteractionShape& shape, const float* first, const float* rest, float* outputs) {
  const int64_t dim = shape.dim;
  const int64_t padded_count = RoundUp(shape.count, kLanes);
  std::vector<float> vectors(static_cast<size_t>(padded_count * dim), 0.0f);
  std::vector<float> transposed(static_cast<size_t>(padded_count * dim), 0.0f);
  std::vector<float> gram(static_cast<size_t>(padded_count * padded_count));
  for (int64_t s = 0; s < shape.samples; ++s) {
    GatherVectors(shape, s, first, rest, dim, vectors.data());
    for (int64_t i = 0; i < shape.count; ++i) {
      for (int64_t d = 0; d < dim; ++d) transposed[d * padded_count + i] = vectors[i * dim + d];
    }
    LowerGram(shape.count, padded_count, dim, vectors.data(), transposed.data(), gram.data());
    float* out = outputs + s * shape.output_width();
    if (shape.has_first) out = std::copy_n(vectors.data(), dim, out);
    for (int64_t i = 1; i < shape.count; ++i) out = std::copy_n(gram.data() + i * padded_count, i, out);
  }
}

void DotInteractionBackward(const DotInteractionShape& shape, const float* first, const float* rest,
                            const float* output_gradients, float* first_gradients, float* rest_gradients) {
  const int64_t dim = shape.dim;
  const int64_t padded_count = RoundUp(shape.count, kLanes);
  const int64_t padded_dim = RoundUp(dim, kLanes);
  std::vector<float> vectors(static_cast<size_t>(padded_count * padded_dim), 0.0f);
  std::vector<float> gradients(static_cast<size_t>(padded_count * padded_dim));
  std::vector<float> gram(static_cast<size_t>(padded_count * padded_count), 0.0f);
  for (int64_t s = 0; s < shape.samples; ++s) {
    GatherVectors(shape, s, first, rest, padded_dim, vectors.data());
    const float* in = output_gradients + s * shape.output_width();
    const float* pairs = in + (shape.has_first ? dim : 0);
    for (int64_t i = 1; i < shape.count; ++i) {
      for (int64_t j = 0; j < i; ++j, ++pairs) {
        gram[i * padded_count + j] = *pairs;
        gram[j * padded_count + i] = *pairs;
      }
    }
    MultiplyGram(shape.count, padded_count, padded_dim, gram.data(), vectors.data(), gradients.data());
    const float* from = gradients.data();
    if (shape.has_first) {
      for (int64_t d = 0; d < dim; ++d) first_gradients[s * dim + d] = from[d] + in[d];
      from += padded_dim;
    }
    float* to = rest_gradients + s * shape.rest_count() * dim;
    for (int64_t i = 0; i < shape.rest_count(); ++i) to = std::copy_n(from + i * padded_dim, dim, to);
  }
}

}  // namespace weir
