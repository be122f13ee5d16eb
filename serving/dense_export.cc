#include "serving/dense_export.h"

#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/serialization/import.h>

#include "base/random.h"
#include "checkpoint/tensor_map.h"
#include "models/model.h"

namespace weir {
namespace {

constexpr int64_t kTracedSamples = 3;
constexpr int64_t kCheckedSamples[] = {1, 2, 17, 256};

Status FillParameters(Model& model, std::span<const DenseTensor> tensors) {
  torch::NoGradGuard no_grad;
  const TensorMap map(tensors);
  for (auto& item : model.named_parameters()) {
    torch::Tensor& parameter = item.value();
    parameter.requires_grad_(false);
    std::span<float> values(parameter.mutable_data_ptr<float>(), parameter.numel());
    WEIR_RETURN_IF_ERROR(map.Copy(kParameterPrefix + item.key(), parameter.sizes(), values));
  }
  return Status();
}

// A script module with the tensors of `module` under the same names. The trace finds them by identity and makes them
// attributes, not constants.
torch::jit::Module MirrorModule(const torch::nn::Module& module, const std::string& class_name,
                                const std::shared_ptr<torch::jit::CompilationUnit>& unit) {
  torch::jit::Module mirror(c10::QualifiedName(class_name), unit, /*shouldMangle=*/true);
  mirror.register_attribute("training", c10::BoolType::get(), false);
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    mirror.register_parameter(item.key(), item.value(), /*is_buffer=*/false);
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) mirror.register_buffer(item.key(), item.value());
  for (const auto& item : module.named_children()) {
    mirror.register_module(item.key(), MirrorModule(*item.value(), "__torch__.weir.Layer", unit));
  }
  return mirror;
}

struct Inputs {
  torch::Tensor numeric;
  torch::Tensor pooled;
};

torch::Tensor Draw(int64_t samples, int64_t width, uint64_t seed) {
  torch::Tensor tensor = at::empty({samples, width}, at::kFloat);
  float* out = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    out[i] = 2 * UnitFloat(RandomBits(seed, RandomPurpose::kSampling, static_cast<uint64_t>(i))) - 1;
  }
  return tensor;
}

Inputs DrawInputs(const FeatureSet& features, int64_t samples) {
  return {Draw(samples, features.numeric_dim, 1), Draw(samples, features.pooled_dim, 2)};
}

std::string Trace(Model& model, const FeatureSet& features) {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module mirror = MirrorModule(model, "__torch__.weir.Dense", unit);
  auto forward = [&](torch::jit::Stack inputs) {
    return torch::jit::Stack{model.Forward(inputs[0].toTensor(), inputs[1].toTensor(), ForwardContext{})};
  };
  const Inputs inputs = DrawInputs(features, kTracedSamples);
  auto traced = torch::jit::tracer::trace({inputs.numeric, inputs.pooled}, forward,
                                          [](const torch::autograd::Variable&) { return std::string(); },
                                          /*strict=*/true, /*force_outplace=*/false, &mirror, {"numeric", "pooled"});
  torch::jit::Function* function =
      unit->create_function(c10::QualifiedName(*mirror.type()->name(), "forward"), traced.first->graph);
  mirror.type()->addMethod(function);
  std::ostringstream bytes;
  mirror.save(bytes);
  return std::move(bytes).str();
}

Status Check(const std::string& bytes, Model& model, const FeatureSet& features) {
  std::istringstream stream(bytes);
  torch::jit::Module module = torch::jit::load(stream);
  for (int64_t samples : kCheckedSamples) {
    const Inputs inputs = DrawInputs(features, samples);
    const torch::Tensor expected = model.Forward(inputs.numeric, inputs.pooled, ForwardContext{});
    const torch::Tensor found = module.forward({inputs.numeric, inputs.pooled}).toTensor();
    if (found.sizes() != expected.sizes() ||
        !at::allclose(found, expected, /*rtol=*/1e-5, /*atol=*/1e-5, /*equal_nan=*/true)) {
      return Internal(fmt::format("the traced net gives other logits than the model for a batch of {}", samples));
    }
  }
  return Status();
}

}  // namespace

Result<std::string> ExportDense(const Job& job, const FeatureSet& features, std::span<const DenseTensor> tensors) {
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, MakeModel(job, features));
  WEIR_RETURN_IF_ERROR(FillParameters(*model, tensors));
  try {
    torch::NoGradGuard no_grad;
    std::string bytes = Trace(*model, features);
    WEIR_RETURN_IF_ERROR(Check(bytes, *model, features));
    return bytes;
  } catch (const std::exception& error) {
    return Internal(fmt::format("tracing the dense net: {}", error.what()));
  }
}

}  // namespace weir
