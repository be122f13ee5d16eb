#include "trainer/evaluate.h"

#include <vector>

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/types.h>

#include "data_loader/loader.h"
#include "embeddings/lookup.h"
#include "trainer/metrics.h"

namespace weir {
namespace {

// This worker's predictions for one batch.
Status Predict(const Worker& worker, int64_t step, Batch& batch, Lookup& lookup, std::vector<float>* pooled,
               std::vector<float>* logits) {
  lookup.Prepare(batch);
  WEIR_RETURN_IF_ERROR(worker.store->Pull(step + 1, PullKind::kEvaluation, lookup.pulls()));
  const int64_t pooled_dim = worker.features->pooled_dim;
  const int64_t num_numeric = worker.features->numeric.size();
  pooled->resize(batch.num_samples * pooled_dim);
  lookup.Pool(pooled->data());
  try {
    torch::NoGradGuard no_grad;
    torch::Tensor output =
        worker.model
            ->Forward(torch::from_blob(batch.numeric.data(), {batch.num_samples, num_numeric}, torch::kFloat32),
                      torch::from_blob(pooled->data(), {batch.num_samples, pooled_dim}, torch::kFloat32),
                      ForwardContext())
            .contiguous();
    logits->assign(output.data_ptr<float>(), output.data_ptr<float>() + batch.num_samples);
  } catch (const std::exception& error) {
    return Internal(fmt::format("evaluation after step {}: the net failed: {}", step, error.what()));
  }
  return Status();
}

}  // namespace

Result<Evaluation> Evaluate(const Worker& worker, int64_t step, const std::function<void(int64_t rows)>& on_batch) {
  const Job& job = *worker.job;
  LoaderOptions options = EvaluationLoaderOptions(job, worker.collective->rank(), worker.collective->size());
  Result<std::unique_ptr<Loader>> loader = Loader::Open(job, job.data().eval(), options, LoaderPosition());
  if (!loader.ok()) return loader.status().Wrap("data.eval");

  std::vector<int> dims;
  for (const TableConfig& table : job.tables()) dims.push_back(table.dim());
  Lookup lookup(*worker.features, dims);
  EvaluationAccumulator accumulator;
  StepBatch loaded;
  int64_t rows = 0;
  std::vector<float> pooled, logits;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(bool more, (*loader)->Next(&loaded));
    if (!more) break;
    if (loaded.batch.num_samples > 0) {
      WEIR_RETURN_IF_ERROR(Predict(worker, step, loaded.batch, lookup, &pooled, &logits));
      accumulator.Add(logits, loaded.batch.labels, loaded.batch.weights);
    }
    rows += loaded.step_rows;
    on_batch(rows);
  }
  return accumulator.Finish(*worker.collective, step);
}

}  // namespace weir
