// TensorMap: the dense tensors of a checkpoint by name.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace weir {

// In front of the names of parameters; a state of the optimizer has its own name there.
inline constexpr char kParameterPrefix[] = "parameter/";

// Constant once made. The tensors must outlive it.
class TensorMap {
 public:
  explicit TensorMap(std::span<const DenseTensor> tensors);

  // Copies a tensor's values. FailedPrecondition names it when it is missing or has another shape than expected.
  Status Copy(const std::string& name, std::span<const int64_t> shape, std::span<float> out) const;

 private:
  std::map<std::string, const DenseTensor*> by_name_;
};

}  // namespace weir
