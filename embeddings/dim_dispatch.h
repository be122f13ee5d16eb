// DispatchDim: runs a kernel with its dim known to the compiler for the usual dims, so that its loops are unrolled and
// vectorised whole.
#pragma once

#include <type_traits>
#include <utility>

namespace weir {

// Calls kernel(d) where d converts to dim; for common dims d is an integral_constant.
template <typename Kernel>
inline void DispatchDim(int dim, Kernel&& kernel) {
  switch (dim) {
    case 1:
      return kernel(std::integral_constant<int, 1>());
    case 8:
      return kernel(std::integral_constant<int, 8>());
    case 16:
      return kernel(std::integral_constant<int, 16>());
    case 32:
      return kernel(std::integral_constant<int, 32>());
    case 64:
      return kernel(std::integral_constant<int, 64>());
    case 128:
      return kernel(std::integral_constant<int, 128>());
    default:
      return kernel(dim);
  }
}

}  // namespace weir
