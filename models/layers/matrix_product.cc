#include "models/layers/matrix_product.h"

#include <optional>
#include <string_view>

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace weir {
namespace {

using LinearPointwise = torch::Tensor(const torch::Tensor& input, const torch::Tensor& weight,
                                      const std::optional<torch::Tensor>& bias, std::string_view attribute,
                                      c10::List<std::optional<at::Scalar>> scalars,
                                      std::optional<std::string_view> algorithm);

// LibTorch's fused linear layer over oneDNN; none where LibTorch is built without it.
std::optional<c10::TypedOperatorHandle<LinearPointwise>> FindOneDnn() {
  std::optional<c10::OperatorHandle> handle =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!handle.has_value() || !handle->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
  return handle->typed<LinearPointwise>();
}

}  // namespace

torch::Tensor MultiplyTransposed(const torch::Tensor& a, const torch::Tensor& b) {
  static const std::optional<c10::TypedOperatorHandle<LinearPointwise>> onednn = FindOneDnn();
  if (!onednn.has_value() || a.numel() == 0 || b.numel() == 0) return at::mm(a, b.t());
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return onednn->call(a, b, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace weir
