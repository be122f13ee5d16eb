#include "checkpoint/tensor_map.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir {

TensorMap::TensorMap(std::span<const DenseTensor> tensors) {
  for (const DenseTensor& tensor : tensors) by_name_[tensor.name] = &tensor;
}

Status TensorMap::Copy(const std::string& name, std::span<const int64_t> shape, std::span<float> out) const {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    return FailedPrecondition(fmt::format("dense tensor {}: expected in the checkpoint, not found", name));
  }
  const DenseTensor& tensor = *found->second;
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()) ||
      tensor.values.size() != out.size()) {
    return FailedPrecondition(fmt::format("dense tensor {}: expected shape [{}], found [{}]", name,
                                          fmt::join(shape, ", "), fmt::join(tensor.shape, ", ")));
  }
  std::copy(tensor.values.begin(), tensor.values.end(), out.begin());
  return Status();
}

}  // namespace weir
