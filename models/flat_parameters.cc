#include "models/flat_parameters.h"

#include <cstdint>
#include <memory>
#include <utility>

#include <glog/logging.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

namespace weir {
namespace {

constexpr int64_t kAlignmentBytes = 64;
constexpr int64_t kAlignment = kAlignmentBytes / static_cast<int64_t>(sizeof(float));

std::span<float> SpanOf(torch::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

class GradientHook : public torch::autograd::PostAccumulateGradHook {
 public:
  GradientHook(std::shared_ptr<const std::function<void(size_t)>> on_gradient, size_t parameter)
      : on_gradient_(std::move(on_gradient)), parameter_(parameter) {}

  void operator()(const torch::Tensor&) override { (*on_gradient_)(parameter_); }

 private:
  const std::shared_ptr<const std::function<void(size_t)>> on_gradient_;
  const size_t parameter_;
};

}  // namespace

FlatParameters::FlatParameters(torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  auto named = module.named_parameters();
  int64_t size = 0;
  for (const auto& item : named) {
    const torch::Tensor& parameter = item.value();
    CHECK(parameter.scalar_type() == at::kFloat) << item.key() << " is not float32";
    parameters_.push_back({item.key(), parameter.sizes().vec(), size, parameter.numel()});
    size += (parameter.numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  values_ = at::zeros({size}, at::kFloat);
  gradients_ = at::zeros({size}, at::kFloat);
  CHECK_EQ(reinterpret_cast<uintptr_t>(values_.data_ptr()) % kAlignmentBytes, 0u);
  CHECK_EQ(reinterpret_cast<uintptr_t>(gradients_.data_ptr()) % kAlignmentBytes, 0u);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const FlatParameter& place = parameters_[i];
    torch::Tensor& parameter = named[i].value();
    torch::Tensor value = values_.narrow(0, place.offset, place.size).view(place.shape);
    value.copy_(parameter);
    parameter.set_data(value);
    parameter.mutable_grad() = gradients_.narrow(0, place.offset, place.size).view(place.shape);
    tensors_.push_back(parameter);
  }
}

std::span<float> FlatParameters::values() { return SpanOf(values_); }

std::span<float> FlatParameters::gradients() { return SpanOf(gradients_); }

void FlatParameters::ZeroGradients() {
  torch::NoGradGuard no_grad;
  gradients_.zero_();
}

void FlatParameters::SetOnGradient(std::function<void(size_t parameter)> on_gradient) {
  const auto shared = std::make_shared<const std::function<void(size_t)>>(std::move(on_gradient));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(tensors_[i],
                                                   *shared ? std::make_unique<GradientHook>(shared, i) : nullptr);
  }
}

}  // namespace weir
