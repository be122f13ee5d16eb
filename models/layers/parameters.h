// How layers make their parameters: as torch.nn.Linear does (uniform within 1 / sqrt(inputs)), but drawn from the job's
// seed and the parameter's id, so that every rank makes the same ones and no generator is touched.
#pragma once

#include <cstdint>

#include <torch/types.h>

namespace weir {

// Hands out the draws of one model. Layers are made in a fixed order, so ids are the same on every rank.
class ParameterInit {
 public:
  explicit ParameterInit(uint64_t seed) : seed_(seed) {}

  uint64_t seed() const { return seed_; }
  // Another id for each call, from 1.
  uint64_t NextId() { return ++last_id_; }
  // Uniform in [-1 / sqrt(inputs), 1 / sqrt(inputs)).
  torch::Tensor Uniform(at::IntArrayRef shape, int64_t inputs);

 private:
  const uint64_t seed_;
  uint64_t last_id_ = 0;
};

}  // namespace weir
