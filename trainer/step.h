// TrainingStep: one step, from a batch to trained rows and dense parameters.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include <torch/types.h>

#include "base/status.h"
#include "data_loader/loader.h"
#include "embeddings/lookup.h"
#include "trainer/gradient_buckets.h"
#include "trainer/worker.h"

namespace weir {

// A batch on its way through the pipeline: loaded, its distinct keys found, its pull under way.
struct PreparedStep {
  PreparedStep(const FeatureSet& features, const std::vector<int>& dims) : lookup(features, dims) {}

  int64_t step = 0;
  StepBatch loaded;
  Lookup lookup;
  PullTicket pull = 0;  // 0: none is under way
};

// What all workers know after a step.
struct StepResult {
  // Of the step before this one, over all workers; absent (weight 0) at the first step of a run.
  double previous_loss_sum = 0;
  double previous_weight = 0;
  // A worker asked for the run to stop after this step.
  bool stop_asked = false;
  // Of this step, over all workers; and those whose policy is STOP.
  int64_t bad_rows = 0;
  int64_t stop_rows = 0;
  // This worker's samples, valid until the next step.
  std::span<const float> logits;
  std::span<const float> labels;
  std::span<const float> weights;
};

// One thread. Loss: the weighted sum of the samples' logloss over the step's total weight over all workers.
class TrainingStep {
 public:
  // `loader` gives this worker's batches. Steps past `last_step` are not prepared.
  TrainingStep(const Worker& worker, Loader* loader, int64_t last_step);
  // Gives up the pulls of steps that were prepared and will not be run.
  ~TrainingStep();

  // Loads the batch of the first step and starts its pull.
  Status Begin(int64_t step);

  // Trains the first step that is prepared, and prepares those after it: one, or as many up to the job's staleness as
  // hide the wait for their rows. `stop_asked` is this worker's wish to stop. The same call on every worker.
  Result<StepResult> Run(bool stop_asked);

  // Whether there is a step for Run(); false after the data's end and the last step.
  bool has_next() const { return !ahead_.empty(); }
  // What the last Run() trained.
  const StepBatch& trained() const { return before_->loaded; }

 private:
  Status PrepareAhead(size_t steps);
  Status WaitForRows(PreparedStep* step);
  // pooled_gradient: as ForwardBackward gave it.
  Status PushRows(const float* pooled_gradient);
  Status TrainDense(int64_t step);
  // d loss / d pooled, [samples, pooled_dim], contiguous; fills logits_, loss_sum_ and the parameters' gradients, whose
  // sum over workers is under way on return.
  Result<torch::Tensor> ForwardBackward(double total_weight);

  const Worker worker_;
  const TraceTrack track_;
  Loader* const loader_;
  const int64_t last_step_;
  GradientBuckets dense_gradients_;
  const size_t steps_ahead_max_;
  size_t steps_ahead_ = 1;  // kept prepared while one is computed
  // Since steps_ahead_ was last looked at.
  int64_t window_steps_ = 0;
  int64_t window_begin_ns_ = 0;
  int64_t window_waited_ns_ = 0;
  int64_t next_step_ = 0;  // to be prepared
  bool data_ended_ = false;
  std::deque<std::unique_ptr<PreparedStep>> ahead_;  // to be trained, in order
  std::unique_ptr<PreparedStep> before_;             // trained by the last Run()
  std::unique_ptr<PreparedStep> free_;               // its buffers serve the next batch
  std::vector<float> pooled_;                        // [samples, pooled_dim]
  std::vector<float> logits_;                        // [samples]
  double loss_sum_ = 0;                              // this worker's, of the last step
  double weight_ = 0;
};

}  // namespace weir
