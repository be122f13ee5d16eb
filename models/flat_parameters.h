// FlatParameters: all parameters of a module in one buffer and all their gradients in another, each parameter on a
// 64-byte boundary, so that one all-reduce and one optimizer call serve them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

namespace weir {

// One parameter's place: values [offset, offset + size) of either buffer.
struct FlatParameter {
  std::string name;  // as named_parameters() has it
  std::vector<int64_t> shape;
  int64_t offset = 0;
  int64_t size = 0;
};

// Once made, the module's parameters and their .grad are views into the buffers; the module keeps them alive.
class FlatParameters {
 public:
  explicit FlatParameters(torch::nn::Module& module);

  std::span<const FlatParameter> parameters() const { return parameters_; }
  std::span<float> values();
  std::span<float> gradients();
  // Before each backward pass.
  void ZeroGradients();
  // From now on a backward pass calls `on_gradient`, on its own thread, each time it has added a parameter's gradient
  // to the buffer, with the parameter's place in parameters(): once in a pass, and not at all for a parameter that the
  // graph does not use. It must not throw. Empty: none is called.
  void SetOnGradient(std::function<void(size_t parameter)> on_gradient);

 private:
  std::vector<FlatParameter> parameters_;
  std::vector<torch::Tensor> tensors_;  // the module's, in the order of parameters_
  torch::Tensor values_;
  torch::Tensor gradients_;
};

}  // namespace weir
