#include "embeddings/pooling.h"

#include <algorithm>

#include "embeddings/dim_dispatch.h"

namespace weir {
namespace {

// The pooled matrix is walked down a column of vectors, a page every few samples, where the hardware does not prefetch:
// this many samples ahead hide the miss.
constexpr int64_t kPrefetchSamples = 8;

// Asks for the first lines of a vector; past the end of the matrix this does nothing.
template <typename Dim>
inline void PrefetchVector(Dim dim, const float* vector) {
  constexpr int kLineFloats = 16;
  for (int c = 0; c < dim && c < 4 * kLineFloats; c += kLineFloats) __builtin_prefetch(vector + c);
}

template <typename Dim>
inline void Copy(Dim dim, const float* __restrict from, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = from[c];
}

template <typename Dim>
inline void AddTo(Dim dim, const float* __restrict from, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = to[c] + from[c];
}

template <typename Dim>
void ForwardSingle(Dim dim, std::span<const int32_t> numbers, const float* rows, float* pooled, int64_t stride) {
  for (size_t i = 0; i < numbers.size(); ++i) Copy(dim, rows + int64_t{numbers[i]} * dim, pooled + i * stride);
}

template <typename Dim>
void ForwardBags(Dim dim, const PooledFeature& feature, const float* rows, float* pooled, int64_t stride) {
  const bool mean = feature.pooling == SparseConfig::MEAN;
  for (int64_t i = 0; i < feature.num_samples(); ++i) {
    float* out = pooled + i * stride;
    const int32_t begin = feature.offsets[i], end = feature.offsets[i + 1];
    if (begin == end) {
      std::fill_n(out, static_cast<int>(dim), 0.0f);
      continue;
    }
    Copy(dim, rows + int64_t{feature.numbers[begin]} * dim, out);
    for (int32_t at = begin + 1; at < end; ++at) AddTo(dim, rows + int64_t{feature.numbers[at]} * dim, out);
    if (!mean || end - begin == 1) continue;
    const auto size = static_cast<float>(end - begin);
    for (int c = 0; c < dim; ++c) out[c] = out[c] / size;
  }
}

template <typename Dim>
void BackwardSingle(Dim dim, std::span<const int32_t> numbers, const float* pooled_gradient, int64_t stride,
                    float* gradients) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    PrefetchVector(dim, pooled_gradient + (i + kPrefetchSamples) * stride);
    AddTo(dim, pooled_gradient + i * stride, gradients + int64_t{numbers[i]} * dim);
  }
}

template <typename Dim>
inline void AddQuotient(Dim dim, const float* __restrict from, float divisor, float* __restrict to) {
  for (int c = 0; c < dim; ++c) to[c] = to[c] + from[c] / divisor;
}

template <typename Dim>
void BackwardBags(Dim dim, const PooledFeature& feature, const float* pooled_gradient, int64_t stride,
                  float* gradients) {
  const bool mean = feature.pooling == SparseConfig::MEAN;
  for (int64_t i = 0; i < feature.num_samples(); ++i) {
    const int32_t begin = feature.offsets[i], end = feature.offsets[i + 1];
    PrefetchVector(dim, pooled_gradient + (i + kPrefetchSamples) * stride);
    const float divisor = mean ? static_cast<float>(end - begin) : 1.0f;
    for (int32_t at = begin; at < end; ++at) {
      AddQuotient(dim, pooled_gradient + i * stride, divisor, gradients + int64_t{feature.numbers[at]} * dim);
    }
  }
}

}  // namespace

void PoolForward(const PooledFeature& feature, const float* rows, float* pooled, int64_t stride) {
  DispatchDim(feature.dim, [&](auto dim) {
    if (feature.offsets.empty()) {
      ForwardSingle(dim, feature.numbers, rows, pooled, stride);
    } else {
      ForwardBags(dim, feature, rows, pooled, stride);
    }
  });
}

void PoolBackward(const PooledFeature& feature, const float* pooled_gradient, int64_t stride, float* gradients) {
  DispatchDim(feature.dim, [&](auto dim) {
    if (feature.offsets.empty()) {
      BackwardSingle(dim, feature.numbers, pooled_gradient, stride, gradients);
    } else {
      BackwardBags(dim, feature, pooled_gradient, stride, gradients);
    }
  });
}

}  // namespace weir
