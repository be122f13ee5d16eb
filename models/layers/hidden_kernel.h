// The element-wise part of a hidden layer, bias + ReLU + dropout, in one pass forward and one pass backward.
#pragma once

#include <cstdint>

namespace weir {

// Which units are dropped: unit u of a sample is kept when UnitFloat(RandomBits(seed, kDropout, step,
// sample_index * width + u)) >= rate; kept ones are scaled by 1 / (1 - rate). A function of the sample's place in the
// step, so that the number of workers does not show.
struct DropoutDraw {
  float rate = 0;     // in [0, 1); 0 keeps all
  uint64_t seed = 0;  // the job's, mixed with the layer's id
  int64_t step = 0;
  const int64_t* sample_index = nullptr;  // [samples]; read if rate > 0
};

// outputs [samples, width], row-major: in, the product x * W^T; out, dropout(relu(product + bias)).
void ActivateHidden(int64_t samples, int64_t width, const float* bias, const DropoutDraw& draw, float* outputs);

// From d loss / d outputs to d loss / d (product + bias), and its sum over the samples. A unit passes its gradient,
// scaled by 1 / (1 - rate), where its output is not 0: then it was neither cut by ReLU nor dropped. output_gradients,
// outputs, gradients: [samples, width]; bias_gradient: [width], overwritten.
void DeactivateHidden(int64_t samples, int64_t width, float rate, const float* output_gradients, const float* outputs,
                      float* gradients, float* bias_gradient);

}  // namespace weir
