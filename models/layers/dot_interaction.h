// DotInteraction: the products of all pairs of a sample's vectors (Naumov et al., 2019), as a differentiable function.
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/types.h>

namespace weir {

// Without self-interaction. Has no parameters; a buffer "pairs" (int64) names the products kept.
class DotInteraction : public torch::nn::Module {
 public:
  // count: vectors of a sample, at least 2, each of `dim` floats; with_first: whether one of them comes apart from the
  // others and goes to the output too.
  DotInteraction(int64_t count, int64_t dim, bool with_first);

  // Floats of an output row.
  int64_t output_width() const;

  // first: [samples, dim], or undefined; rest: [samples, (other vectors) * dim]. Returns [samples, output_width]:
  // `first`, then the products in the order of tril_indices(count, count, -1), where `first` is vector 0. training
  // takes a kernel of ours, which neither joins its inputs nor keeps the products it drops; otherwise ATen does it,
  // which can be traced. They agree to rounding.
  torch::Tensor Forward(const torch::Tensor& first, const torch::Tensor& rest, bool training) const;

 private:
  const int64_t count_;
  const int64_t dim_;
  const bool with_first_;
  torch::Tensor pairs_;
};

}  // namespace weir
