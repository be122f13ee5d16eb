// The matrix product of the hidden layers in training.
#pragma once

#include <torch/types.h>

namespace weir {

// a [m, k] times b [n, k] transposed -> [m, n], float32, any strides. Not differentiable, not traceable.
//
// Taken from oneDNN, which LibTorch carries: it chooses its kernels by what the processor can do, where the MKL behind
// at::mm chooses by who made it. On an AMD EPYC with AVX-512 it is 2.3 to 4 times as fast for the shapes of DLRM's
// nets. A LibTorch without it falls back to at::mm.
torch::Tensor MultiplyTransposed(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace weir
