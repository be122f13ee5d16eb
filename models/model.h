// Model: a net from pooled embeddings and numeric features to one logit a sample.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "base/status.h"
#include "batch/feature.h"
#include "proto/job.pb.h"

namespace weir {

// Where a forward pass stands: what dropout is drawn from.
struct ForwardContext {
  bool training = false;
  uint64_t seed = 0;
  int64_t step = 0;
  const int64_t* sample_index = nullptr;  // [samples]; only read when training
};

// Parameters are initialised from the job's train.seed, the same on every rank. One thread at a time.
class Model : public torch::nn::Module {
 public:
  // numeric: [samples, numeric features] (zero columns if there are none), pooled: [samples, pooled_dim], both float32.
  // Returns logits [samples]. With a context that is not training it must be traceable: shapes are written with -1 and
  // flatten, never read from a tensor, and nothing but ATen calls touches the data.
  torch::Tensor Forward(const torch::Tensor& numeric, const torch::Tensor& pooled, const ForwardContext& context) {
    const torch::Tensor logits = Net(numeric, pooled, context);
    return context.training || logit_shift_ == 0 ? logits : logits + logit_shift_;
  }
  // Added to all logits but those of training: what corrects for negatives that were not trained.
  void set_logit_shift(double shift) { logit_shift_ = shift; }

 private:
  virtual torch::Tensor Net(const torch::Tensor& numeric, const torch::Tensor& pooled,
                            const ForwardContext& context) = 0;

  double logit_shift_ = 0;
};

// The model that job.model names. InvalidArgument when the job's tables do not suit it (says which dims it wants) or
// the name is unknown (lists the known ones).
Result<std::shared_ptr<Model>> MakeModel(const Job& job, const FeatureSet& features);

}  // namespace weir
