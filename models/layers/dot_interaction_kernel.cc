#include "models/layers/dot_interaction_kernel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "models/layers/vector_clones.h"

namespace weir {
namespace {

constexpr int64_t kLanes = 16;  // floats of the widest vector register
constexpr int64_t kRows = 4;    // rows of a tile: their sums run side by side, which hides the latency of an addition

constexpr int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// tile [kRows rows of `tile_stride`, kLanes] = the rows `a` [kRows, a_stride] times the columns `b` [inner, b_stride],
// added in ascending order of the inner index. The sums are arrays of their own, for only so does g++ keep them in
// registers.
inline __attribute__((always_inline)) void MultiplyTile(int64_t inner, const float* __restrict a, int64_t a_stride,
                                                        const float* __restrict b, int64_t b_stride,
                                                        float* __restrict tile, int64_t tile_stride) {
  float sums0[kLanes] = {}, sums1[kLanes] = {}, sums2[kLanes] = {}, sums3[kLanes] = {};
  for (int64_t k = 0; k < inner; ++k) {
    const float a0 = a[k], a1 = a[a_stride + k], a2 = a[2 * a_stride + k], a3 = a[3 * a_stride + k];
    const float* __restrict row = b + k * b_stride;
    for (int64_t l = 0; l < kLanes; ++l) {
      sums0[l] += a0 * row[l];
      sums1[l] += a1 * row[l];
      sums2[l] += a2 * row[l];
      sums3[l] += a3 * row[l];
    }
  }
  for (int64_t l = 0; l < kLanes; ++l) {
    tile[l] = sums0[l];
    tile[tile_stride + l] = sums1[l];
    tile[2 * tile_stride + l] = sums2[l];
    tile[3 * tile_stride + l] = sums3[l];
  }
}

// vectors [padded_count, dim] and its transpose [dim, padded_count] -> gram [padded_count, padded_count], of which only
// what stands below the diagonal, in the first `count` rows, is meant.
WEIR_VECTOR_CLONES void LowerGram(int64_t count, int64_t padded_count, int64_t dim, const float* vectors,
                                  const float* transposed, float* gram) {
  for (int64_t i = 0; i < count; i += kRows) {
    for (int64_t j = 0; j < i + kRows; j += kLanes) {
      MultiplyTile(dim, vectors + i * dim, dim, transposed + j, padded_count, gram + i * padded_count + j,
                   padded_count);
    }
  }
}

// gram gradient [padded_count, padded_count] (symmetric, diagonal 0) times vectors [padded_count, padded_dim] ->
// gradients, shaped like the vectors.
WEIR_VECTOR_CLONES void MultiplyGram(int64_t count, int64_t padded_count, int64_t padded_dim, const float* gram,
                                     const float* vectors, float* gradients) {
  for (int64_t i = 0; i < count; i += kRows) {
    for (int64_t d = 0; d < padded_dim; d += kLanes) {
      MultiplyTile(count, gram + i * padded_count, padded_count, vectors + d, padded_dim,
                   gradients + i * padded_dim + d, padded_dim);
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
