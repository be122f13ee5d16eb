// TrainingStep: one synchronous step, from a batch to trained rows and dense parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <torch/types.h>

#include "base/status.h"
#include "data_loader/loader.h"
#include "embeddings/lookup.h"
#include "trainer/worker.h"

namespace weir {

// A batch on its way through the pipeline: loaded, its distinct keys found, its pull under way.
struct PreparedStep {
  PreparedStep(const FeatureSet& features, const std::vector<int>& dims) : lookup(features, dims) {}

  int64_t step = 0;  // 0: holds no batch
  StepBatch loaded;
  Lookup lookup;
  PullTicket pull = 0;
};

// What all workers know after a step.
struct StepResult {
  // Of the step before this one, over all workers; absent (weight 0) at the first step of a run.
  double previous_loss_sum = 0;
  double previous_weight = 0;
  // A worker asked for the run to stop after this step.
  bool stop_asked = false;
  // This worker's samples, valid until the next step.
  std::span<const float> logits;
  std::span<const float> labels;
  std::span<const float> weights;
};

// One thread. Loss: the weighted sum of the samples' logloss over the step's total weight over all workers.
class TrainingStep {
 public:
  // `loader` gives this worker's batches.
  TrainingStep(const Worker& worker, Loader* loader);
  // Gives up the pull of a step that was prepared and will not be run.
  ~TrainingStep();

  // Loads the batch of the first step and starts its pull; false when there is none left.
  Result<bool> Begin(int64_t step);

  // Trains the step that is prepared and prepares the one after it, unless `is_last`. `stop_asked` is this worker's wish
  // to stop. The same call on every worker.
  Result<StepResult> Run(bool is_last, bool stop_asked);

  // The step that Run() would train; false after the data's end.
  bool has_next() const { return now_->step != 0; }
  int64_t next_step() const { return now_->step; }
  // What the last Run() trained.
  const StepBatch& trained() const { return before_->loaded; }

 private:
  Result<bool> Prepare(int64_t step, PreparedStep* prepared);
  // d loss / d pooled, [samples, pooled_dim], contiguous; fills logits_, loss_sum_ and the parameters' gradients.
  Result<torch::Tensor> ForwardBackward(double total_weight);

  const Worker worker_;
  Loader* const loader_;
  std::unique_ptr<PreparedStep> now_;     // to be trained by the next Run()
  std::unique_ptr<PreparedStep> before_;  // trained by the last one
  std::vector<float> pooled_;             // [samples, pooled_dim]
  std::vector<float> logits_;             // [samples]
  double loss_sum_ = 0;                   // this worker's, of the last step
  double weight_ = 0;
};

}  // namespace weir
