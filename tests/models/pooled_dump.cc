// Trains one batch of features of every pooling through a model, from rows to rows' gradients, and writes all that went
// in and came out as one JSON object to stdout, for pooled_parity_test.py.
//
//   pooled_dump NUMERIC DIM SAMPLES 'deepfm { hidden: 8 }'
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "embeddings/lookup.h"
#include "models/flat_parameters.h"
#include "tests/models/job_fixture.h"

namespace weir {
namespace {

constexpr uint64_t kKeys = 12;  // of each table: 0 .. kKeys - 1
constexpr int kTables = 3;

struct Kind {
  const char* name;
  int table;
  SparseConfig::Pooling pooling;
  int max_length;
};
constexpr Kind kKinds[] = {{"sum", 0, SparseConfig::SUM, 0},
                           {"weighted", 0, SparseConfig::WEIGHTED_SUM, 0},
                           {"max", 1, SparseConfig::MAX, 0},
                           {"sequence", 1, SparseConfig::NONE, 3},
                           {"mean", 2, SparseConfig::MEAN, 0}};

Job PooledJob(int numeric, int dim, const std::string& model) {
  Job job = MakeJob(0, numeric, dim, model);
  for (int t = 0; t < kTables; ++t) {
    TableConfig* table = job.add_tables();
    table->set_name(fmt::format("t{}", t));
    table->set_dim(dim);
  }
  for (const Kind& kind : kKinds) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(kind.name);
    SparseConfig* sparse = feature->mutable_sparse();
    sparse->set_table(fmt::format("t{}", kind.table));
    sparse->set_pooling(kind.pooling);
    if (kind.max_length > 0) sparse->set_max_length(kind.max_length);
    if (kind.pooling == SparseConfig::WEIGHTED_SUM) sparse->set_weight_column("w");
  }
  return job;
}

// Bags of 0 to 5 values.
Batch RandomBatch(const FeatureSet& features, int64_t samples) {
  Batch batch;
  batch.num_samples = samples;
  uint64_t draw = 0;
  auto next = [&] { return RandomBits(5, RandomPurpose::kSampling, ++draw); };
  for (const SparseFeature& feature : features.sparse) {
    Jagged& jagged = batch.sparse.emplace_back();
    for (int64_t i = 0; i < samples; ++i) {
      for (uint64_t values = next() % 6; values > 0; --values) {
        jagged.values.push_back(next() % kKeys);
        if (feature.pooling == SparseConfig::WEIGHTED_SUM) jagged.weights.push_back(2 * UnitFloat(next()) - 1);
      }
      jagged.EndSample();
    }
  }
  return batch;
}

void PrintFloats(const std::string& name, const std::vector<float>& values) {
  fmt::print("\"{}\": [", name);
  for (size_t i = 0; i < values.size(); ++i) fmt::print("{}{:.9g}", i == 0 ? "" : ", ", values[i]);
  fmt::print("],\n");
}

void PrintFeatures(const FeatureSet& features, const Batch& batch) {
  fmt::print("\"features\": [");
  for (size_t f = 0; f < features.sparse.size(); ++f) {
    const SparseFeature& feature = features.sparse[f];
    fmt::print(
        "{}{{\"table\": {}, \"pooling\": \"{}\", \"max_length\": {}, \"values\": [{}], \"offsets\": [{}], "
        "\"weights\": [{}]}}",
        f == 0 ? "" : ",\n", feature.table, SparseConfig::Pooling_Name(feature.pooling), feature.max_length,
        fmt::join(batch.sparse[f].values, ", "), fmt::join(batch.sparse[f].offsets, ", "),
        fmt::join(batch.sparse[f].weights, ", "));
  }
  fmt::print("],\n");
}

void Dump(const Job& job, int dim, int64_t samples) {
  const FeatureSet features = FeaturesOf(job);
  const Batch batch = RandomBatch(features, samples);
  std::vector<std::vector<float>> rows, gradients;
  for (int t = 0; t < kTables; ++t) {
    rows.push_back(ValuesOf(RandomTensor({static_cast<int64_t>(kKeys) * dim}, 10 + t)));
    gradients.emplace_back(rows.back().size());
  }
  Lookup lookup(features, std::vector<int>(kTables, dim));
  lookup.Prepare(batch);
  for (const TablePull& pull : lookup.pulls()) {
    for (size_t i = 0; i < pull.keys.size(); ++i) {
      std::copy_n(&rows[pull.table][pull.keys[i] * dim], dim, pull.rows + i * dim);
    }
  }
  torch::Tensor pooled = at::empty({samples, features.pooled_dim}, at::kFloat);
  lookup.Pool(pooled.mutable_data_ptr<float>());
  pooled.requires_grad_();

  std::shared_ptr<Model> model = MakeModel(job, features).value();
  FlatParameters flat(*model);
  torch::Tensor numeric = RandomTensor({samples, static_cast<int64_t>(features.numeric.size())}, 1);
  torch::Tensor labels = RandomTensor({samples}, 3).gt(0).to(at::kFloat);
  std::vector<int64_t> index(static_cast<size_t>(samples));
  std::iota(index.begin(), index.end(), 0);
  torch::Tensor logits = model->Forward(numeric, pooled, {true, 1, 1, index.data()});
  at::binary_cross_entropy_with_logits(logits, labels).backward();
  const torch::Tensor pooled_gradient = pooled.grad().contiguous();
  for (const TablePush& push : lookup.Gradients(pooled_gradient.const_data_ptr<float>())) {
    for (size_t i = 0; i < push.keys.size(); ++i) {
      std::copy_n(push.gradients + i * dim, dim, &gradients[push.table][push.keys[i] * dim]);
    }
  }

  fmt::print("{{");
  PrintFeatures(features, batch);
  for (int t = 0; t < kTables; ++t) {
    PrintFloats(fmt::format("rows{}", t), rows[t]);
    PrintFloats(fmt::format("gradients{}", t), gradients[t]);
  }
  PrintFloats("numeric", ValuesOf(numeric));
  PrintFloats("labels", ValuesOf(labels));
  PrintFloats("logits", ValuesOf(logits));
  PrintFloats("evaluated", ValuesOf(model->Forward(numeric, pooled.detach(), ForwardContext{})));
  fmt::print("\"parameters\": {{");
  const char* separator = "";
  for (const auto& item : model->named_parameters()) {
    fmt::print("{}\n\"{}\": {{\"shape\": [{}], ", separator, item.key(), fmt::join(item.value().sizes(), ", "));
    PrintFloats("values", ValuesOf(item.value()));
    fmt::print("\"end\": 0}}");
    separator = ",";
  }
  fmt::print("}}}}\n");
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  CHECK_EQ(argc, 5) << "usage: pooled_dump NUMERIC DIM SAMPLES MODEL";
  const int dim = std::atoi(argv[2]);
  weir::Dump(weir::PooledJob(std::atoi(argv[1]), dim, argv[4]), dim, std::atoi(argv[3]));
}
