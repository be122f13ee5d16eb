#include "embeddings/pooling.h"

#include <algorithm>

#include "embeddings/dim_dispatch.h"

namespace weir {
namespace {

// The pooled matrix is walked down a column of vectors, a page every few samples, where the hardware does not prefetch:
// this many samples ahead hide the miss.
constexpr int64_t kPrefetchSamples = 8;

// Columns of MAX that are traced back at a time.
constexpr int kMaxColumns = 64;

// Asks for the first lines of a vector; past the end of the matrix this does nothing.
template <typename Dim>
inline void PrefetchVector(Dim dim, const float* vector) {
  constexpr int kLineFloats = 16;
  for (int c = 0; c < dim && c < 4 * kLineFloats; c += kLineFloats) __builtin_prefetch(vector + c);
}

template <typename Dim>
inline void Fill(Dim dim, float value, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = value;
}

template <typename Dim>
inline void Copy(Dim dim, const float* __restrict from, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = from[c];
}

template <typename Dim>
inline void CopyTimes(Dim dim, const float* __restrict from, float weight, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = weight * from[c];
}

template <typename Dim>
inline void AddTo(Dim dim, const float* __restrict from, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = to[c] + from[c];
}

template <typename Dim>
inline void AddTimes(Dim dim, const float* __restrict from, float weight, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = to[c] + weight * from[c];
}

template <typename Dim>
inline void AddQuotient(Dim dim, const float* __restrict from, float divisor, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = to[c] + from[c] / divisor;
}

template <typename Dim>
inline void MaxTo(Dim dim, const float* __restrict from, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = from[c] > to[c] ? from[c] : to[c];
}

// Walks the bags of a feature: begin and end of each sample's values.
template <typename Visit>
inline void ForEachBag(const PooledFeature& feature, const Visit& visit) {
  const int64_t samples = feature.num_samples();
  const int32_t* offsets = feature.offsets.empty() ? nullptr : feature.offsets.data();
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t begin = offsets == nullptr ? i : offsets[i];
    const int64_t end = offsets == nullptr ? i + 1 : offsets[i + 1];
    visit(i, begin, end);
  }
}

// The bag's rows into `out`: the first by start(row, value), the others by add(row, value).
template <typename Dim, typename Start, typename Add>
inline void ForwardBags(Dim dim, const PooledFeature& feature, const float* rows, float* pooled, int64_t stride,
                        const Start& start, const Add& add) {
  const int32_t* numbers = feature.numbers.data();
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    float* out = pooled + i * stride;
    if (begin == end) return Fill(dim, 0.0f, out);
    start(rows + int64_t{numbers[begin]} * dim, begin, out);
    for (int64_t at = begin + 1; at < end; ++at) add(rows + int64_t{numbers[at]} * dim, at, out);
  });
}

template <typename Dim>
inline void ForwardMean(Dim dim, const PooledFeature& feature, const float* rows, float* pooled, int64_t stride) {
  ForwardBags(
      dim, feature, rows, pooled, stride, [&](const float* row, int64_t, float* out) { Copy(dim, row, out); },
      [&](const float* row, int64_t, float* out) { AddTo(dim, row, out); });
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    if (end - begin < 2) return;
    float* out = pooled + i * stride;
    const auto size = static_cast<float>(end - begin);
    for (int c = 0; c < dim; ++c) out[c] = out[c] / size;
  });
}

template <typename Dim>
inline void ForwardSequence(Dim dim, const PooledFeature& feature, const float* rows, float* pooled, int64_t stride) {
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    float* out = pooled + i * stride;
    const int64_t length = std::min<int64_t>(end - begin, feature.max_length);
    for (int64_t v = 0; v < length; ++v, out += dim) Copy(dim, rows + int64_t{feature.numbers[begin + v]} * dim, out);
    for (int64_t v = length; v < feature.max_length; ++v, out += dim) Fill(dim, 0.0f, out);
  });
}

template <typename Dim>
inline void Forward(Dim dim, const PooledFeature& feature, const float* rows, float* pooled, int64_t stride) {
  const float* weights = feature.weights.data();
  const auto copy = [&](const float* row, int64_t, float* out) { Copy(dim, row, out); };
  switch (feature.pooling) {
    case SparseConfig::SUM:
      return ForwardBags(dim, feature, rows, pooled, stride, copy,
                         [&](const float* row, int64_t, float* out) { AddTo(dim, row, out); });
    case SparseConfig::MEAN:
      return ForwardMean(dim, feature, rows, pooled, stride);
    case SparseConfig::WEIGHTED_SUM:
      return ForwardBags(
          dim, feature, rows, pooled, stride,
          [&](const float* row, int64_t at, float* out) { CopyTimes(dim, row, weights[at], out); },
          [&](const float* row, int64_t at, float* out) { AddTimes(dim, row, weights[at], out); });
    case SparseConfig::MAX:
      return ForwardBags(dim, feature, rows, pooled, stride, copy,
                         [&](const float* row, int64_t, float* out) { MaxTo(dim, row, out); });
    case SparseConfig::NONE:
      return ForwardSequence(dim, feature, rows, pooled, stride);
  }
}

// add(from, value, bag size, to) for each value, in order.
template <typename Dim, typename Add>
inline void BackwardBags(Dim dim, const PooledFeature& feature, const float* pooled_gradient, int64_t stride,
                         float* gradients, const Add& add) {
  const int32_t* numbers = feature.numbers.data();
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    PrefetchVector(dim, pooled_gradient + (i + kPrefetchSamples) * stride);
    const float* from = pooled_gradient + i * stride;
    for (int64_t at = begin; at < end; ++at) add(from, at, end - begin, gradients + int64_t{numbers[at]} * dim);
  });
}

// Columns [first, first + width) of one bag: which value won each, then the gradient of a column to its winner.
inline void BackwardMaxColumns(int width, std::span<const int32_t> numbers, int64_t dim, const float* rows,
                               const float* from, float* gradients) {
  float largest[kMaxColumns];
  int32_t winner[kMaxColumns];
  const float* first = rows + numbers[0] * dim;
  for (int c = 0; c < width; ++c) {
    largest[c] = first[c];
    winner[c] = 0;
  }
  const auto size = static_cast<int32_t>(numbers.size());
  for (int32_t v = 1; v < size; ++v) {
    const float* row = rows + numbers[v] * dim;
    for (int c = 0; c < width; ++c) {
      winner[c] = row[c] > largest[c] ? v : winner[c];
      largest[c] = row[c] > largest[c] ? row[c] : largest[c];
    }
  }
  for (int32_t v = 0; v < size; ++v) {
    float* to = gradients + numbers[v] * dim;
    for (int c = 0; c < width; ++c) to[c] = winner[c] == v ? to[c] + from[c] : to[c];
  }
}

template <typename Dim>
inline void BackwardMax(Dim dim, const PooledFeature& feature, const float* rows, const float* pooled_gradient,
                        int64_t stride, float* gradients) {
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    if (begin == end) return;
    const std::span<const int32_t> numbers = feature.numbers.subspan(begin, end - begin);
    const float* from = pooled_gradient + i * stride;
    if (end - begin == 1) return AddTo(dim, from, gradients + int64_t{numbers[0]} * dim);
    for (int c = 0; c < dim; c += kMaxColumns) {
      BackwardMaxColumns(std::min<int>(dim - c, kMaxColumns), numbers, dim, rows + c, from + c, gradients + c);
    }
  });
}

template <typename Dim>
inline void BackwardSequence(Dim dim, const PooledFeature& feature, const float* pooled_gradient, int64_t stride,
                             float* gradients) {
  ForEachBag(feature, [&](int64_t i, int64_t begin, int64_t end) {
    const float* from = pooled_gradient + i * stride;
    const int64_t length = std::min<int64_t>(end - begin, feature.max_length);
    for (int64_t v = 0; v < length; ++v, from += dim) {
      AddTo(dim, from, gradients + int64_t{feature.numbers[begin + v]} * dim);
    }
  });
}

template <typename Dim>
inline void Backward(Dim dim, const PooledFeature& feature, const float* rows, const float* pooled_gradient,
                     int64_t stride, float* gradients) {
  const float* weights = feature.weights.data();
  switch (feature.pooling) {
    case SparseConfig::SUM:
      return BackwardBags(dim, feature, pooled_gradient, stride, gradients,
                          [&](const float* from, int64_t, int64_t, float* to) { AddTo(dim, from, to); });
    case SparseConfig::MEAN:
      return BackwardBags(dim, feature, pooled_gradient, stride, gradients,
                          [&](const float* from, int64_t, int64_t size, float* to) {
                            if (size == 1) return AddTo(dim, from, to);
                            AddQuotient(dim, from, static_cast<float>(size), to);
                          });
    case SparseConfig::WEIGHTED_SUM:
      return BackwardBags(
          dim, feature, pooled_gradient, stride, gradients,
          [&](const float* from, int64_t at, int64_t, float* to) { AddTimes(dim, from, weights[at], to); });
    case SparseConfig::MAX:
      return BackwardMax(dim, feature, rows, pooled_gradient, stride, gradients);
    case SparseConfig::NONE:
      return BackwardSequence(dim, feature, pooled_gradient, stride, gradients);
  }
}

struct ForwardCall {
  const PooledFeature& feature;
  const float* rows;
  float* pooled;
  int64_t stride;
  void operator()() const {
    DispatchDim(feature.dim, [&](auto dim) { Forward(dim, feature, rows, pooled, stride); });
  }
};

struct BackwardCall {
  const PooledFeature& feature;
  const float* rows;
  const float* pooled_gradient;
  int64_t stride;
  float* gradients;
  void operator()() const {
    DispatchDim(feature.dim, [&](auto dim) { Backward(dim, feature, rows, pooled_gradient, stride, gradients); });
  }
};

template <typename Call>
void RunScalar(const Call& call) {
  call();
}

template <typename Call>
WEIR_TARGET_AVX2 void RunAvx2(const Call& call) {
  call();
}

template <typename Call>
WEIR_TARGET_AVX512 void RunAvx512(const Call& call) {
  call();
}

template <typename Call>
void Run(Isa isa, const Call& call) {
  switch (isa) {
    case Isa::kScalar:
      return RunScalar(call);
    case Isa::kAvx2:
      return RunAvx2(call);
    case Isa::kAvx512:
      return RunAvx512(call);
  }
}

}  // namespace

void PoolForward(const PooledFeature& feature, const float* rows, float* pooled, int64_t stride, Isa isa) {
  Run(isa, ForwardCall{feature, rows, pooled, stride});
}

void PoolBackward(const PooledFeature& feature, const float* rows, const float* pooled_gradient, int64_t stride,
                  float* gradients, Isa isa) {
  Run(isa, BackwardCall{feature, rows, pooled_gradient, stride, gradients});
}

}  // namespace weir
