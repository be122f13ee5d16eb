#include "models/layers/hidden_kernel.h"

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "models/layers/vector_clones.h"

namespace weir {
namespace {

// Samples whose gradients are added up before they are added to the total: keeps the rounding error of a long sum
// small.
constexpr int64_t kSamplesPerSum = 64;

WEIR_VECTOR_CLONES void AddBiasAndRelu(int64_t width, const float* __restrict bias, float* __restrict row) {
  for (int64_t u = 0; u < width; ++u) {
    float sum = row[u] + bias[u];
    row[u] = sum <= 0 ? 0.0f : sum;  // as PyTorch: a NaN stays one
  }
}

WEIR_VECTOR_CLONES void Drop(int64_t width, uint64_t seed, uint64_t step, uint64_t first, float rate, float scale,
                             float* __restrict row) {
  for (int64_t u = 0; u < width; ++u) {
    float draw = UnitFloat(RandomBits(seed, RandomPurpose::kDropout, step, first + static_cast<uint64_t>(u)));
    row[u] = draw >= rate ? row[u] * scale : 0.0f;
  }
}

WEIR_VECTOR_CLONES void MaskAndSum(int64_t width, float scale, const float* __restrict output_gradients,
                                   const float* __restrict outputs, float* __restrict gradients,
                                   float* __restrict sums) {
  for (int64_t u = 0; u < width; ++u) {
    float gradient = outputs[u] == 0 ? 0.0f : output_gradients[u] * scale;
    gradients[u] = gradient;
    sums[u] += gradient;
  }
}

WEIR_VECTOR_CLONES void AddAndClear(int64_t width, float* __restrict sums, float* __restrict totals) {
  for (int64_t u = 0; u < width; ++u) {
    totals[u] += sums[u];
    sums[u] = 0;
  }
}

}  // namespace

void ActivateHidden(int64_t samples, int64_t width, const float* bias, const DropoutDraw& draw, float* outputs) {
  const float scale = 1.0f / (1.0f - draw.rate);
  for (int64_t i = 0; i < samples; ++i) {
    float* row = outputs + i * width;
    AddBiasAndRelu(width, bias, row);
    if (draw.rate == 0) continue;
    Drop(width, draw.seed, static_cast<uint64_t>(draw.step), static_cast<uint64_t>(draw.sample_index[i] * width),
         draw.rate, scale, row);
  }
}

void DeactivateHidden(int64_t samples, int64_t width, float rate, const float* output_gradients, const float* outputs,
                      float* gradients, float* bias_gradient) {
  const float scale = 1.0f / (1.0f - rate);
  std::vector<float> sums(static_cast<size_t>(width), 0.0f);
  std::fill_n(bias_gradient, width, 0.0f);
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t at = i * width;
    MaskAndSum(width, scale, output_gradients + at, outputs + at, gradients + at, sums.data());
    if ((i + 1) % kSamplesPerSum == 0 || i + 1 == samples) AddAndClear(width, sums.data(), bias_gradient);
  }
}

}  // namespace weir
