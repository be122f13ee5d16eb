#include "serving/scorer.h"

#include <map>

#include <fmt/format.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/types.h>

#include "checkpoint/arrow_row_files.h"
#include "checkpoint/checkpoint.h"
#include "embeddings/local_store.h"
#include "serving/trained_model.h"

namespace weir {
namespace {

std::vector<int> TableDimsOf(const Job& job) {
  std::vector<int> dims;
  for (const TableConfig& table : job.tables()) dims.push_back(table.dim());
  return dims;
}

}  // namespace

Scorer::Scorer(const Job& job, FeatureSet features) : features_(features), lookup_(features, TableDimsOf(job)) {}

Result<std::unique_ptr<Scorer>> Scorer::Load(FileSystem* file_system, const Job& job, const std::string& checkpoint) {
  WEIR_ASSIGN_OR_RETURN(FeatureSet features, FeatureSet::FromJob(job));
  std::unique_ptr<Scorer> scorer(new Scorer(job, features));
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(file_system, checkpoint));
  scorer->step_ = manifest.step();
  WEIR_ASSIGN_OR_RETURN(scorer->model_, LoadTrainedModel(file_system, checkpoint, manifest, job, features));
  scorer->row_files_ = MakeArrowRowFiles(file_system);
  std::vector<TableSpec> tables = TableSpecsFromJob(job);
  for (TableSpec& table : tables) table.limits = ReadOnly(table.limits);
  scorer->store_ = MakeLocalStore(std::move(tables), manifest.hash_rule().virtual_shards(), scorer->row_files_.get());
  std::vector<DataFile> row_files;
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::ROWS) row_files.push_back(file);
  }
  Status loaded = scorer->store_->Load(manifest.step(), checkpoint, row_files);
  WEIR_RETURN_IF_ERROR(loaded.Wrap("loading checkpoint " + checkpoint));
  return scorer;
}

Status Scorer::Score(Batch& batch, std::vector<float>* scores) {
  scores->clear();
  if (batch.num_samples == 0) return Status();
  lookup_.Prepare(batch);
  WEIR_RETURN_IF_ERROR(store_->Pull(step_ + 1, PullKind::kEvaluation, lookup_.pulls()));
  pooled_.resize(batch.num_samples * features_.pooled_dim);
  lookup_.Pool(pooled_.data());
  const int64_t num_numeric = features_.numeric_dim;
  try {
    torch::NoGradGuard no_grad;
    torch::Tensor logits = model_->Forward(
        torch::from_blob(batch.numeric.data(), {batch.num_samples, num_numeric}, torch::kFloat32),
        torch::from_blob(pooled_.data(), {batch.num_samples, int64_t{features_.pooled_dim}}, torch::kFloat32),
        ForwardContext());
    torch::Tensor probabilities = torch::sigmoid(logits).contiguous();
    scores->assign(probabilities.data_ptr<float>(), probabilities.data_ptr<float>() + batch.num_samples);
  } catch (const std::exception& error) {
    return Internal(fmt::format("scoring: the net failed: {}", error.what()));
  }
  return Status();
}

}  // namespace weir
