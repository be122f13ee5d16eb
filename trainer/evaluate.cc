#include "trainer/evaluate.h"

#include <span>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/types.h>

#include "data_loader/loader.h"
#include "embeddings/lookup.h"
#include "trainer/agreement.h"
#include "trainer/metrics.h"

namespace weir {
namespace {

// This worker's predictions for one batch.
Status Predict(const Worker& worker, int64_t step, Batch& batch, Lookup& lookup, std::vector<float>* pooled,
               std::vector<float>* logits) {
  lookup.Prepare(batch);
  WEIR_RETURN_IF_ERROR(worker.store->Pull(step + 1, PullKind::kEvaluation, lookup.pulls()));
  const int64_t pooled_dim = worker.features->pooled_dim;
  const int64_t num_numeric = worker.features->numeric_dim;
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

// The bad rows of an evaluation, counted and judged over all workers.
class BadRowJudge {
 public:
  explicit BadRowJudge(int64_t rows_max) : rows_max_(rows_max) {}

  void Add(const std::vector<FileBadRow>& rows) {
    for (const FileBadRow& row : rows) {
      ++rows_;
      last_ = row;
      if (row.fault.policy == DataConfig::STOP && stopped_.ok()) stopped_ = StoppedByBadRow(row);
    }
  }

  // Whether nothing is wrong so far, as far as this worker knows.
  bool ok() const { return stopped_.ok() && rows_ <= rows_max_; }

  // All workers call: the bad rows of all, or the same error on all.
  Result<int64_t> Finish(Collective& collective) const {
    double sum[] = {static_cast<double>(rows_)};
    WEIR_RETURN_IF_ERROR(collective.AllReduceSum(std::span<double>(sum)));
    const auto all = static_cast<int64_t>(sum[0]);
    Status status = stopped_;
    if (status.ok() && all > rows_max_ && rows_ > 0) status = TooManyBadRows(last_, all, rows_max_);
    WEIR_RETURN_IF_ERROR(AgreeOnStatus(collective, status));
    return all;
  }

 private:
  const int64_t rows_max_;
  int64_t rows_ = 0;
  FileBadRow last_;
  Status stopped_;
};

}  // namespace

Result<Evaluation> Evaluate(const Worker& worker, int64_t step, const std::function<void(int64_t rows)>& on_batch) {
  const Job& job = *worker.job;
  LoaderOptions options = EvaluationLoaderOptions(job, worker.collective->rank(), worker.collective->size());
  options.stops_at_bad_rows = false;
  Result<std::unique_ptr<Loader>> loader = Loader::Open(job, job.data().eval(), options, LoaderPosition());
  if (!loader.ok()) return loader.status().Wrap("data.eval");

  std::vector<int> dims;
  for (const TableConfig& table : job.tables()) dims.push_back(table.dim());
  Lookup lookup(*worker.features, dims);
  EvaluationAccumulator accumulator;
  StepBatch loaded;
  int64_t rows = 0;
  std::vector<float> pooled, logits;
  BadRowJudge judge(job.data().max_bad_rows());
  while (true) {
    WEIR_ASSIGN_OR_RETURN(bool more, (*loader)->Next(&loaded));
    if (!more) break;
    judge.Add(loaded.bad_rows);
    // What is to end with an error is read on, so that no worker waits long for another.
    if (loaded.batch.num_samples > 0 && judge.ok()) {
      WEIR_RETURN_IF_ERROR(Predict(worker, step, loaded.batch, lookup, &pooled, &logits));
      accumulator.Add(logits, loaded.batch.labels, loaded.batch.weights);
    }
    rows += loaded.step_rows;
    on_batch(rows);
  }
  Result<int64_t> bad_rows = judge.Finish(*worker.collective);
  if (!bad_rows.ok()) return bad_rows.status().Wrap("data.eval");
  WEIR_ASSIGN_OR_RETURN(Evaluation evaluation, accumulator.Finish(*worker.collective, step));
  evaluation.set_bad_rows(*bad_rows);
  return evaluation;
}

}  // namespace weir
