#include "trainer/rank_order_sum.h"

#include <glog/logging.h>

namespace weir {
namespace {

template <typename T>
void AddIntoImpl(std::span<T> into, std::span<const T> values) {
  CHECK_EQ(into.size(), values.size());
  T* __restrict out = into.data();
  const T* __restrict in = values.data();
  const size_t count = into.size();
  for (size_t i = 0; i < count; ++i) out[i] += in[i];
}

}  // namespace

void AddInto(std::span<float> into, std::span<const float> values) { AddIntoImpl(into, values); }
void AddInto(std::span<double> into, std::span<const double> values) { AddIntoImpl(into, values); }

}  // namespace weir
