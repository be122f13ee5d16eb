// Runs one training step's forward and backward pass of a model and writes all that went in and came out as one JSON
// object to stdout, for torch_parity_test.py.
//
//   model_dump SPARSE NUMERIC DIM SAMPLES 'deepfm { hidden: 8 }'
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>

#include "models/flat_parameters.h"
#include "tests/models/job_fixture.h"

namespace weir {
namespace {

void PrintTensor(const std::string& name, const torch::Tensor& tensor) {
  fmt::print("\"{}\": {{\"shape\": [", name);
  for (int64_t d = 0; d < tensor.dim(); ++d) fmt::print("{}{}", d == 0 ? "" : ", ", tensor.size(d));
  fmt::print("], \"values\": [");
  const std::vector<float> values = ValuesOf(tensor);
  for (size_t i = 0; i < values.size(); ++i) fmt::print("{}{:.9g}", i == 0 ? "" : ", ", values[i]);
  fmt::print("]}}");
}

void Dump(const Job& job, int64_t samples) {
  const FeatureSet features = FeaturesOf(job);
  std::shared_ptr<Model> model = MakeModel(job, features).value();
  FlatParameters flat(*model);
  torch::Tensor numeric = RandomTensor({samples, static_cast<int64_t>(features.numeric.size())}, 1);
  torch::Tensor pooled = RandomTensor({samples, features.pooled_dim}, 2).requires_grad_();
  torch::Tensor labels = RandomTensor({samples}, 3).gt(0).to(at::kFloat);
  torch::Tensor weights = RandomTensor({samples}, 4).abs() + 0.5;
  std::vector<int64_t> index(static_cast<size_t>(samples));
  std::iota(index.begin(), index.end(), 0);
  torch::Tensor logits = model->Forward(numeric, pooled, {true, 1, 1, index.data()});
  torch::Tensor losses =
      at::binary_cross_entropy_with_logits(logits, labels, /*weight=*/weights, /*pos_weight=*/{}, at::Reduction::Sum);
  torch::Tensor loss = losses / weights.sum();
  flat.ZeroGradients();
  loss.backward();

  fmt::print("{{");
  PrintTensor("numeric", numeric);
  for (const auto& [name, tensor] : std::vector<std::pair<std::string, torch::Tensor>>{
           {"pooled", pooled},
           {"labels", labels},
           {"weights", weights},
           {"logits", logits},
           {"loss", loss},
           {"pooled.grad", pooled.grad()},
           {"evaluated", model->Forward(numeric, pooled.detach(), ForwardContext{})}}) {
    fmt::print(",\n");
    PrintTensor(name, tensor);
  }
  for (const auto& item : model->named_parameters()) {
    fmt::print(",\n");
    PrintTensor("parameter/" + item.key(), item.value());
    fmt::print(",\n");
    PrintTensor("gradient/" + item.key(), item.value().grad());
  }
  fmt::print("}}\n");
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  CHECK_EQ(argc, 6) << "usage: model_dump SPARSE NUMERIC DIM SAMPLES MODEL";
  weir::Dump(weir::MakeJob(std::atoi(argv[1]), std::atoi(argv[2]), std::atoi(argv[3]), argv[5]), std::atoi(argv[4]));
}
