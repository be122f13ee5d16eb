#include "trainer/step.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <torch/types.h>

#include "base/clock.h"
#include "embeddings/consistency.h"
#include "trainer/metrics.h"

namespace weir {
namespace {

std::vector<int> TableDims(const Job& job) {
  std::vector<int> dims;
  for (const TableConfig& table : job.tables()) dims.push_back(table.dim());
  return dims;
}

// A view of `data` as [rows, columns]; the data outlives the view.
torch::Tensor MatrixView(float* data, int64_t rows, int64_t columns) {
  return torch::from_blob(data, {rows, columns}, torch::kFloat32);
}

// Weighted logloss over a batch, in double, and its derivative by each logit over the step's total weight.
double LossAndGradient(std::span<const float> logits, const Batch& batch, double total_weight, float* logit_gradient) {
  double loss_sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    loss_sum += batch.weights[i] * LogLoss(logits[i], batch.labels[i]);
    double error = Sigmoid(logits[i]) - batch.labels[i];
    logit_gradient[i] = static_cast<float>(batch.weights[i] * error / total_weight);
  }
  return loss_sum;
}

// Pulls that may be under way while a batch is computed: what the most patient table gains by (docs/consistency.md).
size_t StepsAheadMax(const Job& job) {
  constexpr int kAsync = 2;
  int ahead = std::max(1, job.cluster().look_ahead());
  for (const TableConfig& table : job.tables()) {
    const Consistency consistency = ConsistencyOf(job.cluster(), table);
    ahead = std::max(ahead, consistency.async ? kAsync : consistency.staleness);
  }
  return ahead;
}

// What the workers tell each other at the start of a step, summed.
enum Control { kWeight, kPreviousLoss, kPreviousWeight, kStopAsked, kBadRows, kStopRows, kNumControls };

}  // namespace

TrainingStep::TrainingStep(const Worker& worker, Loader* loader, int64_t last_step)
    : worker_(worker),
      track_{worker.trace, worker.trace != nullptr ? worker.trace->AddTrack("step") : 0},
      loader_(loader),
      last_step_(last_step),
      dense_gradients_(worker.parameters, worker.collective, worker.job->cluster().gradient_bucket_bytes(), track_),
      steps_ahead_max_(StepsAheadMax(*worker.job)) {}

TrainingStep::~TrainingStep() {
  for (const auto& prepared : ahead_) worker_.store->CancelPull(prepared->pull);
  // A step that failed before its rows came.
  if (before_) worker_.store->CancelPull(before_->pull);
}

Status TrainingStep::Begin(int64_t step) {
  next_step_ = step;
  return PrepareAhead(1);
}

Status TrainingStep::PrepareAhead(size_t steps) {
  while (ahead_.size() < steps && next_step_ <= last_step_ && !data_ended_) {
    std::unique_ptr<PreparedStep> prepared = std::move(free_);
    if (!prepared) prepared = std::make_unique<PreparedStep>(*worker_.features, TableDims(*worker_.job));
    {
      const TraceSpan span(track_, "load", next_step_);
      WEIR_ASSIGN_OR_RETURN(bool more, loader_->Next(&prepared->loaded));
      data_ended_ = !more;
    }
    if (data_ended_) break;
    prepared->step = next_step_;
    {
      const TraceSpan span(track_, "distinct", next_step_);
      prepared->lookup.Prepare(prepared->loaded.batch);
    }
    const TraceSpan span(track_, "start pull", next_step_);
    WEIR_ASSIGN_OR_RETURN(prepared->pull,
                          worker_.store->StartPull(next_step_, PullKind::kTraining, prepared->lookup.pulls()));
    ++next_step_;
    ahead_.push_back(std::move(prepared));
  }
  return Status();
}

Result<StepResult> TrainingStep::Run(bool stop_asked) {
  CHECK(has_next()) << "a step was run past the end of the data";
  free_ = std::move(before_);
  before_ = std::move(ahead_.front());
  ahead_.pop_front();
  PreparedStep& step = *before_;
  const Batch& batch = step.loaded.batch;

  // The step's total weight scales every gradient, so all workers must know it before the backward pass.
  double weight = std::accumulate(batch.weights.begin(), batch.weights.end(), 0.0);
  const std::vector<FileBadRow>& bad_rows = step.loaded.bad_rows;
  const int64_t stop_rows = std::count_if(bad_rows.begin(), bad_rows.end(),
                                          [](const FileBadRow& row) { return row.fault.policy == DataConfig::STOP; });
  double controls[kNumControls] = {weight,
                                   loss_sum_,
                                   weight_,
                                   stop_asked ? 1.0 : 0.0,
                                   static_cast<double>(bad_rows.size()),
                                   static_cast<double>(stop_rows)};
  {
    const TraceSpan span(track_, "sum weights", step.step);
    WEIR_RETURN_IF_ERROR(worker_.collective->AllReduceSum(std::span<double>(controls)));
  }

  // Rows arrive and are pooled to the matrix that the net reads.
  WEIR_RETURN_IF_ERROR(WaitForRows(&step));
  {
    const TraceSpan span(track_, "pool", step.step);
    pooled_.resize(batch.num_samples * worker_.features->pooled_dim);
    step.lookup.Pool(pooled_.data());
  }

  // The next batches' pulls are under way while this one is computed; owners answer the next one's once this step is
  // applied, or before, as the job's staleness says.
  WEIR_RETURN_IF_ERROR(PrepareAhead(steps_ahead_));

  // While the backward pass goes on, the dense gradients that it has made are summed over workers, bucket by bucket.
  WEIR_ASSIGN_OR_RETURN(torch::Tensor pooled_gradient, ForwardBackward(controls[kWeight]));
  WEIR_RETURN_IF_ERROR(dense_gradients_.StartRest());

  // Rows: one gradient per distinct key goes to its owner, who sums over workers and applies the rule.
  WEIR_RETURN_IF_ERROR(PushRows(pooled_gradient.data_ptr<float>()));

  // Dense parameters: once the sums are in, each worker applies the same rule to the same values.
  WEIR_RETURN_IF_ERROR(TrainDense(step.step));

  weight_ = weight;
  return StepResult{.previous_loss_sum = controls[kPreviousLoss],
                    .previous_weight = controls[kPreviousWeight],
                    .stop_asked = controls[kStopAsked] > 0,
                    .bad_rows = static_cast<int64_t>(controls[kBadRows]),
                    .stop_rows = static_cast<int64_t>(controls[kStopRows]),
                    .logits = logits_,
                    .labels = batch.labels,
                    .weights = batch.weights};
}

// The more pulls are in flight, the older are the rows they read: there are only as many as the wait for rows calls
// for.
Status TrainingStep::WaitForRows(PreparedStep* step) {
  constexpr int64_t kWindowSteps = 16;
  constexpr int64_t kWaitShare = 10;  // of a window's time: a tenth
  const TraceSpan span(track_, "wait for rows", step->step);
  const int64_t begin_ns = SystemClock().SteadyNanos();
  WEIR_RETURN_IF_ERROR(worker_.store->FinishPull(std::exchange(step->pull, 0)));
  const int64_t now_ns = SystemClock().SteadyNanos();
  window_waited_ns_ += now_ns - begin_ns;
  if (++window_steps_ < kWindowSteps) return Status();
  const bool waits = window_waited_ns_ * kWaitShare > now_ns - window_begin_ns_;
  if (waits && window_begin_ns_ != 0) steps_ahead_ = std::min(steps_ahead_ + 1, steps_ahead_max_);
  window_begin_ns_ = now_ns;
  window_steps_ = window_waited_ns_ = 0;
  return Status();
}

Status TrainingStep::PushRows(const float* pooled_gradient) {
  PreparedStep& step = *before_;
  std::span<const TablePush> pushes;
  {
    const TraceSpan span(track_, "sum gradients of rows", step.step);
    pushes = step.lookup.Gradients(pooled_gradient);
  }
  WEIR_RETURN_IF_ERROR(dense_gradients_.Poll());
  const TraceSpan span(track_, "push", step.step);
  return worker_.store->Push(step.step, pushes);
}

Status TrainingStep::TrainDense(int64_t step) {
  {
    const TraceSpan span(track_, "all-reduce", step);
    WEIR_RETURN_IF_ERROR(dense_gradients_.FinishAll());
  }
  const TraceSpan span(track_, "dense optimizer", step);
  worker_.optimizer->Step(step, worker_.parameters->values(), worker_.parameters->gradients());
  return Status();
}

Result<torch::Tensor> TrainingStep::ForwardBackward(double total_weight) {
  const TraceSpan span(track_, "forward and backward", before_->step);
  Batch& batch = before_->loaded.batch;
  const int64_t samples = batch.num_samples;
  const int64_t pooled_dim = worker_.features->pooled_dim;
  dense_gradients_.Begin(before_->step);
  logits_.resize(samples);
  loss_sum_ = 0;
  // A worker whose data has ended only takes part in the sums.
  if (samples == 0) return torch::zeros({0, pooled_dim});

  try {
    torch::Tensor numeric = MatrixView(batch.numeric.data(), samples, worker_.features->numeric_dim);
    torch::Tensor pooled = MatrixView(pooled_.data(), samples, pooled_dim).requires_grad_(true);
    ForwardContext context{.training = true,
                           .seed = worker_.job->train().seed(),
                           .step = before_->step,
                           .sample_index = batch.sample_index.data()};
    torch::Tensor logits = worker_.model->Forward(numeric, pooled, context);
    torch::Tensor logits_now = logits.detach().contiguous();
    std::copy_n(logits_now.data_ptr<float>(), samples, logits_.begin());

    torch::Tensor logit_gradient = torch::empty({samples});
    loss_sum_ = LossAndGradient(logits_, batch, total_weight, logit_gradient.data_ptr<float>());
    if (!std::isfinite(loss_sum_)) {
      return FailedPrecondition(fmt::format(
          "step {}: expected a finite loss, found {}: lower the optimizers' learning_rate or check the scale of the "
          "numeric features",
          before_->step, loss_sum_));
    }
    logits.backward(logit_gradient);
    return pooled.grad().defined() ? pooled.grad().contiguous() : torch::zeros({samples, pooled_dim});
  } catch (const std::exception& error) {
    return Internal(fmt::format("step {}: the net failed: {}", before_->step, error.what()));
  }
}

}  // namespace weir
