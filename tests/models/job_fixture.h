// Jobs and inputs for the tests of models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <glog/logging.h>
#include <google/protobuf/text_format.h>
#include <torch/types.h>

#include "base/random.h"
#include "batch/feature.h"
#include "models/model.h"
#include "proto/job.pb.h"

namespace weir {

// A resolved job of `sparse` features, each with a table of its own of `dim`, and `numeric` ones.
inline Job MakeJob(int sparse, int numeric, int dim, const std::string& model_text) {
  Job job;
  CHECK(google::protobuf::TextFormat::ParseFromString("model { " + model_text + " }", &job));
  for (int i = 0; i < sparse; ++i) {
    TableConfig* table = job.add_tables();
    table->set_name("C" + std::to_string(i));
    table->set_dim(dim);
    FeatureConfig* feature = job.add_features();
    feature->set_name(table->name());
    feature->mutable_sparse()->set_table(table->name());
  }
  for (int i = 0; i < numeric; ++i) {
    FeatureConfig* feature = job.add_features();
    feature->set_name("I" + std::to_string(i));
    feature->mutable_numeric();
  }
  job.mutable_train()->set_seed(7);
  return job;
}

inline FeatureSet FeaturesOf(const Job& job) { return FeatureSet::FromJob(job).value(); }

// Uniform in [-1, 1), a function of (seed, place).
inline torch::Tensor RandomTensor(at::IntArrayRef shape, uint64_t seed) {
  torch::Tensor tensor = at::empty(shape, at::kFloat);
  float* out = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    out[i] = 2 * UnitFloat(RandomBits(seed, RandomPurpose::kSampling, static_cast<uint64_t>(i))) - 1;
  }
  return tensor;
}

inline std::vector<float> ValuesOf(const torch::Tensor& tensor) {
  torch::Tensor flat = tensor.detach().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

}  // namespace weir
