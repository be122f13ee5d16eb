// Mlp: linear layers with ReLU and dropout between them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "models/layers/parameters.h"
#include "models/model.h"

namespace weir {

// y = x W^T + b, then ReLU and dropout if it is a hidden layer. Parameters: weight [outputs, inputs], bias [outputs].
class Linear : public torch::nn::Module {
 public:
  // hidden: whether ReLU follows, and dropout at `dropout` in training.
  Linear(int64_t inputs, int64_t outputs, bool hidden, double dropout, ParameterInit& init);

  // input: [samples, inputs]; returns [samples, outputs].
  torch::Tensor Forward(const torch::Tensor& input, const ForwardContext& context) const;

 private:
  const bool hidden_;
  const double dropout_;
  const uint64_t dropout_id_;
  torch::Tensor weight_;
  torch::Tensor bias_;
};

struct MlpOptions {
  int64_t inputs = 0;
  std::vector<int64_t> widths;  // outputs of each layer
  bool relu_last = false;       // whether the last layer is a hidden one too
  double dropout = 0;           // after each hidden layer
};

// Parameters: "0.weight", "0.bias", "1.weight", ...
class Mlp : public torch::nn::Module {
 public:
  Mlp(const MlpOptions& options, ParameterInit& init);

  // input: [samples, inputs]; returns [samples, widths.back()].
  torch::Tensor Forward(const torch::Tensor& input, const ForwardContext& context) const;

 private:
  std::vector<std::shared_ptr<Linear>> layers_;
};

}  // namespace weir
