#include "models/layers/parameters.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace weir {

torch::Tensor ParameterInit::Uniform(at::IntArrayRef shape, int64_t inputs) {
  const uint64_t id = NextId();
  const float bound = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(inputs, 1)));
  torch::Tensor values = at::empty(shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    float draw = UnitFloat(RandomBits(seed_, RandomPurpose::kDenseInit, id, static_cast<uint64_t>(i)));
    out[i] = (2.0f * draw - 1.0f) * bound;
  }
  return values;
}

}  // namespace weir
