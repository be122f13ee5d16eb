#include "models/layers/mlp.h"

#include <string>

#include <torch/csrc/autograd/custom_function.h>

#include "base/random.h"
#include "models/layers/hidden_kernel.h"
#include "models/layers/matrix_product.h"

namespace weir {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A hidden layer in training: the matrix products are ATen's, all that is element-wise is one pass of ours each way
// (ATen takes five: spreading the bias, ReLU, dropout, their backward, summing the bias's gradient).
class HiddenLayer : public torch::autograd::Function<HiddenLayer> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input, const torch::Tensor& weight,
                               const torch::Tensor& bias, const DropoutDraw* draw) {
    torch::Tensor output = MultiplyTransposed(input, weight);
    ActivateHidden(output.size(0), output.size(1), bias.const_data_ptr<float>(), *draw,
                   output.mutable_data_ptr<float>());
    context->save_for_backward({input, weight, output});
    context->saved_data["rate"] = static_cast<double>(draw->rate);
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &input = saved[0], &weight = saved[1], &output = saved[2];
    const torch::Tensor output_gradient = output_gradients[0].contiguous();
    torch::Tensor gradient = at::empty_like(output);
    torch::Tensor bias_gradient = at::empty({output.size(1)}, output.options());
    DeactivateHidden(output.size(0), output.size(1), static_cast<float>(context->saved_data["rate"].toDouble()),
                     output_gradient.const_data_ptr<float>(), output.const_data_ptr<float>(),
                     gradient.mutable_data_ptr<float>(), bias_gradient.mutable_data_ptr<float>());
    torch::Tensor input_gradient;
    if (context->needs_input_grad(0)) input_gradient = MultiplyTransposed(gradient, weight.t());
    const torch::Tensor weight_gradient = MultiplyTransposed(gradient.t(), input.t());
    return {input_gradient, weight_gradient, bias_gradient, torch::Tensor()};
  }
};

}  // namespace

Linear::Linear(int64_t inputs, int64_t outputs, bool hidden, double dropout, ParameterInit& init)
    : hidden_(hidden), dropout_(dropout), dropout_id_(init.NextId()) {
  weight_ = register_parameter("weight", init.Uniform({outputs, inputs}, inputs));
  bias_ = register_parameter("bias", init.Uniform({outputs}, inputs));
}

torch::Tensor Linear::Forward(const torch::Tensor& input, const ForwardContext& context) const {
  if (hidden_ && context.training) {
    const DropoutDraw draw{static_cast<float>(dropout_), SplitMix64(context.seed ^ dropout_id_), context.step,
                           context.sample_index};
    return HiddenLayer::apply(input, weight_, bias_, &draw);
  }
  torch::Tensor output = at::linear(input, weight_, bias_);
  return hidden_ ? at::relu(output) : output;
}

Mlp::Mlp(const MlpOptions& options, ParameterInit& init) {
  int64_t inputs = options.inputs;
  for (size_t i = 0; i < options.widths.size(); ++i) {
    const bool hidden = options.relu_last || i + 1 < options.widths.size();
    auto layer = std::make_shared<Linear>(inputs, options.widths[i], hidden, options.dropout, init);
    layers_.push_back(register_module(std::to_string(i), layer));
    inputs = options.widths[i];
  }
}

torch::Tensor Mlp::Forward(const torch::Tensor& input, const ForwardContext& context) const {
  torch::Tensor output = input;
  for (const std::shared_ptr<Linear>& layer : layers_) output = layer->Forward(output, context);
  return output;
}

}  // namespace weir
