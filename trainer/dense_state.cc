#include "trainer/dense_state.h"

#include <string>

#include <fmt/format.h>

#include "checkpoint/tensor_map.h"

namespace weir {
namespace {

DenseTensor CopyOut(const std::string& prefix, const FlatParameter& parameter, std::span<const float> flat) {
  std::span<const float> values = flat.subspan(parameter.offset, parameter.size);
  return {prefix + parameter.name, parameter.shape, {values.begin(), values.end()}};
}

}  // namespace

std::vector<DenseTensor> SaveDense(FlatParameters& parameters, DenseOptimizer& optimizer) {
  std::vector<DenseTensor> tensors;
  for (const FlatParameter& parameter : parameters.parameters()) {
    tensors.push_back(CopyOut(kParameterPrefix, parameter, parameters.values()));
    for (const DenseState& state : optimizer.states()) {
      tensors.push_back(CopyOut(state.name + "/", parameter, state.values));
    }
  }
  return tensors;
}

Status RestoreDense(std::span<const DenseTensor> tensors, FlatParameters* parameters, DenseOptimizer* optimizer) {
  const TensorMap map(tensors);
  for (const FlatParameter& parameter : parameters->parameters()) {
    std::span<float> values = parameters->values().subspan(parameter.offset, parameter.size);
    WEIR_RETURN_IF_ERROR(map.Copy(kParameterPrefix + parameter.name, parameter.shape, values));
    if (optimizer == nullptr) continue;
    for (DenseState& state : optimizer->states()) {
      std::span<float> slot = std::span(state.values).subspan(parameter.offset, parameter.size);
      WEIR_RETURN_IF_ERROR(map.Copy(state.name + "/" + parameter.name, parameter.shape, slot));
    }
  }
  if (optimizer == nullptr) return Status();
  const size_t expected = parameters->parameters().size() * (1 + optimizer->states().size());
  if (tensors.size() != expected) {
    return FailedPrecondition(
        fmt::format("expected {} dense tensors in the checkpoint, found {}: it is of another model or optimizer",
                    expected, tensors.size()));
  }
  return Status();
}

}  // namespace weir
