#include "models/layers/dot_interaction_kernel.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/layers/vector_clones.h"

namespace weir {
namespace {

#define WEIR_INLINE inline __attribute__((always_inline))
#define WEIR_INLINE_LAMBDA __attribute__((always_inline))

constexpr int64_t kLanes = 16;  // floats of the widest vector register
constexpr int64_t kRows = 4;    // of a tile: their sums run side by side, which hides the latency of an addition

// As g++'s vectors, for only so does it keep a tile's sums in registers; narrower registers hold one in parts.
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

constexpr int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
constexpr int64_t PairsBefore(int64_t row) { return row * (row - 1) / 2; }

WEIR_INLINE const Lanes& At(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
WEIR_INLINE Lanes& At(float* to) { return *reinterpret_cast<Lanes*>(to); }

// Stores the first n lanes.
WEIR_INLINE void Store(const Lanes& lanes, int64_t n, float* to) {
  if (n >= kLanes) {
    At(to) = lanes;
  } else {
    float all[kLanes];
    At(all) = lanes;
    std::copy_n(all, n, to);
  }
}

constexpr int LowLane(int width, int lane) { return (lane & width) == 0 ? lane : kLanes + lane - width; }
constexpr int HighLane(int width, int lane) { return (lane & width) == 0 ? lane + width : kLanes + lane; }

// For each pair of rows that are kWidth apart, exchanges the upper kWidth lanes of each 2 * kWidth of the one with the
// lower ones of the other: of a 16 x 16 transpose the step for kWidth.
template <int kWidth, int... kLane>
WEIR_INLINE void ExchangeLanes(Lanes* rows, std::integer_sequence<int, kLane...>) {
  for (int r = 0; r < kLanes; ++r) {
    if ((r & kWidth) != 0) continue;
    const Lanes a = rows[r], b = rows[r + kWidth];
    rows[r] = __builtin_shufflevector(a, b, LowLane(kWidth, kLane)...);
    rows[r + kWidth] = __builtin_shufflevector(a, b, HighLane(kWidth, kLane)...);
  }
}

// Vectors [count] of `dim` floats, a multiple of 16 -> transposed [dim, padded_count]; what pads is the last vector.
WEIR_INLINE void Transpose(int64_t count, int64_t padded_count, int64_t dim, const float* const* vectors,
                           float* transposed) {
  for (int64_t i = 0; i < padded_count; i += kLanes) {
    for (int64_t d = 0; d < dim; d += kLanes) {
      Lanes rows[kLanes];
#pragma GCC unroll 16
      for (int64_t r = 0; r < kLanes; ++r) rows[r] = At(vectors[std::min(i + r, count - 1)] + d);
      ExchangeLanes<8>(rows, std::make_integer_sequence<int, kLanes>());
      ExchangeLanes<4>(rows, std::make_integer_sequence<int, kLanes>());
      ExchangeLanes<2>(rows, std::make_integer_sequence<int, kLanes>());
      ExchangeLanes<1>(rows, std::make_integer_sequence<int, kLanes>());
#pragma GCC unroll 16
      for (int64_t r = 0; r < kLanes; ++r) At(transposed + (d + r) * padded_count + i) = rows[r];
    }
  }
}

// The products of vectors i to i + kTileRows - 1 with those before each, added in ascending order of the dimension, to
// `pairs`, where a row's surplus lanes fall on rows that are stored later: hence ascending rows, and descending
// columns.
template <int64_t kTileRows>
WEIR_INLINE void ForwardTile(int64_t i, int64_t padded_count, int64_t dim, const float* const* vectors,
                             const float* transposed, float* pairs, const float* pairs_end) {
  for (int64_t j = (i + kTileRows - 2) / kLanes * kLanes; j >= 0; j -= kLanes) {
    Lanes sums[kTileRows] = {};
    for (int64_t d = 0; d < dim; ++d) {
      const Lanes& column = At(transposed + d * padded_count + j);
#pragma GCC unroll 4
      for (int64_t r = 0; r < kTileRows; ++r) sums[r] += vectors[i + r][d] * column;
    }
#pragma GCC unroll 4
    for (int64_t r = 0; r < kTileRows; ++r) {
      float* to = pairs + PairsBefore(i + r) + j;
      if (j < i + r) Store(sums[r], pairs_end - to, to);
    }
  }
}

// Calls tile(rows, i) for tiles of kRows vectors from the first on, and one of the rest; rows is a constant.
template <typename Tile>
WEIR_INLINE void ForEachTile(int64_t count, const Tile& tile) {
  int64_t i = 0;
  for (; i + kRows <= count; i += kRows) tile(std::integral_constant<int64_t, kRows>(), i);
  if (count - i == 3) tile(std::integral_constant<int64_t, 3>(), i);
  if (count - i == 2) tile(std::integral_constant<int64_t, 2>(), i);
  if (count - i == 1) tile(std::integral_constant<int64_t, 1>(), i);
}

// One sample's pairs.
WEIR_VECTOR_CLONES void ForwardSample(int64_t count, int64_t padded_count, int64_t dim, const float* const* vectors,
                                      float* transposed, float* pairs) {
  const float* end = pairs + PairsBefore(count);
  Transpose(count, padded_count, dim, vectors, transposed);
  ForEachTile(count, [&](auto rows, int64_t i) WEIR_INLINE_LAMBDA {
    ForwardTile<rows>(i, padded_count, dim, vectors, transposed, pairs, end);
  });
}

// Lanes d to d + 15 of the gradients of vectors i to i + kTileRows - 1: each the sum of all other vectors, times the
// gradients of their pairs, in ascending order.
template <int64_t kTileRows>
WEIR_INLINE void BackwardTile(int64_t i, int64_t d, int64_t count, int64_t dim, const float* const* vectors,
                              const float* pairs, float* const* gradients) {
  Lanes sums[kTileRows] = {};
  for (int64_t k = 0; k < i; ++k) {
    const Lanes& vector = At(vectors[k] + d);
#pragma GCC unroll 4
    for (int64_t r = 0; r < kTileRows; ++r) sums[r] += pairs[PairsBefore(i + r) + k] * vector;
  }
#pragma GCC unroll 4
  for (int64_t q = 0; q < kTileRows; ++q) {
    const Lanes& vector = At(vectors[i + q] + d);
#pragma GCC unroll 4
    for (int64_t r = 0; r < kTileRows; ++r) {
      if (r != q) sums[r] += pairs[r > q ? PairsBefore(i + r) + i + q : PairsBefore(i + q) + i + r] * vector;
    }
  }
  for (int64_t k = i + kTileRows; k < count; ++k) {
    const Lanes& vector = At(vectors[k] + d);
    const float* pairs_of_k = pairs + PairsBefore(k) + i;
#pragma GCC unroll 4
    for (int64_t r = 0; r < kTileRows; ++r) sums[r] += pairs_of_k[r] * vector;
  }
#pragma GCC unroll 4
  for (int64_t r = 0; r < kTileRows; ++r) Store(sums[r], dim - d, gradients[i + r] + d);
}

// The gradients [dim] of one sample's vectors.
WEIR_VECTOR_CLONES void BackwardSample(int64_t count, int64_t dim, const float* const* vectors, const float* pairs,
                                       float* const* gradients) {
  for (int64_t d = 0; d < dim; d += kLanes) {
    ForEachTile(count, [&](auto rows, int64_t i)
                           WEIR_INLINE_LAMBDA { BackwardTile<rows>(i, d, count, dim, vectors, pairs, gradients); });
  }
}

// Where a sample's vectors stand: T is float or const float.
template <typename T>
void Locate(const DotInteractionShape& shape, int64_t sample, T* first, T* rest, std::vector<T*>* vectors) {
  size_t i = 0;
  if (shape.has_first) (*vectors)[i++] = first + sample * shape.dim;
  for (T* at = rest + sample * shape.rest_width(); i < vectors->size(); at += shape.dim) (*vectors)[i++] = at;
}

// A sample's vectors, with zeros after each up to a multiple of kLanes floats.
class PaddedVectors {
 public:
  explicit PaddedVectors(const DotInteractionShape& shape)
      : shape_(shape), dim_(RoundUp(shape.dim, kLanes)), vectors_(shape.count) {
    if (dim_ != shape.dim) padded_.resize(static_cast<size_t>(shape.count * dim_));
  }
  int64_t dim() const { return dim_; }
  const float* const* Of(int64_t sample, const float* first, const float* rest) {
    Locate(shape_, sample, first, rest, &vectors_);
    if (padded_.empty()) return vectors_.data();
    for (size_t i = 0; i < vectors_.size(); ++i) {
      vectors_[i] = std::copy_n(vectors_[i], shape_.dim, padded_.data() + i * dim_) - shape_.dim;
    }
    return vectors_.data();
  }

 private:
  const DotInteractionShape shape_;
  const int64_t dim_;
  std::vector<const float*> vectors_;
  std::vector<float> padded_;  // [count, dim_]; empty: the vectors are read where they are
};

}  // namespace

void DotInteractionForward(const DotInteractionShape& shape, const float* first, const float* rest, float* outputs) {
  const int64_t padded_count = RoundUp(shape.count, kLanes);
  PaddedVectors vectors(shape);
  std::vector<float> transposed(static_cast<size_t>(vectors.dim() * padded_count));
  for (int64_t s = 0; s < shape.samples; ++s) {
    float* out = outputs + s * shape.output_width();
    if (shape.has_first) out = std::copy_n(first + s * shape.dim, shape.dim, out);
    ForwardSample(shape.count, padded_count, vectors.dim(), vectors.Of(s, first, rest), transposed.data(), out);
  }
}

void DotInteractionBackward(const DotInteractionShape& shape, const float* first, const float* rest,
                            const float* output_gradients, float* first_gradients, float* rest_gradients) {
  PaddedVectors vectors(shape);
  std::vector<float*> gradients(shape.count);
  for (int64_t s = 0; s < shape.samples; ++s) {
    const float* in = output_gradients + s * shape.output_width();
    Locate(shape, s, first_gradients, rest_gradients, &gradients);
    BackwardSample(shape.count, shape.dim, vectors.Of(s, first, rest), in + shape.first_width(), gradients.data());
    if (!shape.has_first) continue;
    for (int64_t d = 0; d < shape.dim; ++d) gradients[0][d] += in[d];
  }
}

}  // namespace weir
