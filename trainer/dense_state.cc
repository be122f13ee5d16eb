#include "trainer/dense_state.h"

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir {
namespace {

constexpr char kParameterPrefix[] = "parameter/";

DenseTensor CopyOut(const std::string& prefix, const FlatParameter& parameter, std::span<const float> flat) {
  std::span<const float> values = flat.subspan(parameter.offset, parameter.size);
  return {prefix + parameter.name, parameter.shape, {values.begin(), values.end()}};
}

Status CopyIn(const std::map<std::string, const DenseTensor*>& by_name, const std::string& prefix,
              const FlatParameter& parameter, std::span<float> flat) {
  const std::string name = prefix + parameter.name;
  auto found = by_name.find(name);
  if (found == by_name.end()) {
    return FailedPrecondition(fmt::format("dense tensor {}: expected in the checkpoint, not found", name));
  }
  const DenseTensor& tensor = *found->second;
  if (tensor.shape != parameter.shape || static_cast<int64_t>(tensor.values.size()) != parameter.size) {
    return FailedPrecondition(fmt::format("dense tensor {}: expected shape [{}], found [{}]", name,
                                          fmt::join(parameter.shape, ", "), fmt::join(tensor.shape, ", ")));
  }
  std::copy(tensor.values.begin(), tensor.values.end(), flat.begin() + parameter.offset);
  return Status();
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
  std::map<std::string, const DenseTensor*> by_name;
  for (const DenseTensor& tensor : tensors) by_name[tensor.name] = &tensor;
  for (const FlatParameter& parameter : parameters->parameters()) {
    WEIR_RETURN_IF_ERROR(CopyIn(by_name, kParameterPrefix, parameter, parameters->values()));
    if (optimizer == nullptr) continue;
    for (DenseState& state : optimizer->states()) {
      WEIR_RETURN_IF_ERROR(CopyIn(by_name, state.name + "/", parameter, state.values));
    }
  }
  const size_t states = optimizer == nullptr ? 0 : optimizer->states().size();
  const size_t expected = parameters->parameters().size() * (1 + states);
  if (optimizer != nullptr && tensors.size() != expected) {
    return FailedPrecondition(
        fmt::format("expected {} dense tensors in the checkpoint, found {}: it is of another model or optimizer",
                    expected, tensors.size()));
  }
  return Status();
}

}  // namespace weir
