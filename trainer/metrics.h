// What is measured of predictions: logloss, AUC and calibration, exactly over an evaluation and over the last samples
// of training.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/checkpoint.pb.h"
#include "trainer/collective.h"

namespace weir {

// Logloss of one prediction, from its logit: stable for any finite one.
double LogLoss(float logit, float label);

double Sigmoid(float logit);

// Collects the predictions of one evaluation on one worker (12 bytes a sample) and measures those of all workers.
// One thread.
class EvaluationAccumulator {
 public:
  // logits, labels: [n]; weights: [n], or empty for 1 each. Copied.
  void Add(std::span<const float> logits, std::span<const float> labels, std::span<const float> weights);

  // Samples added by this worker.
  int64_t samples() const { return static_cast<int64_t>(logits_.size()); }

  // The figures over all workers, the same bits on each: every worker calls it. The AUC is exact and takes bounded
  // memory beside the samples: ranges of scores are gathered one after the other, each of about group_limit score
  // groups of 24 bytes. OutOfRange on all workers when any added a prediction that is not finite (training diverged), a
  // label outside [0, 1] or a bad weight; FailedPrecondition when the samples have no weight at all.
  Result<Evaluation> Finish(Collective& workers, int64_t step, int64_t group_limit = 1 << 20) const;

  void Clear();

 private:
  std::vector<float> logits_;
  std::vector<float> labels_;
  std::vector<float> weights_;
  int64_t unusable_ = 0;
};

struct WindowMetrics {
  int64_t samples = 0;
  std::optional<double> logloss;  // absent without samples
  std::optional<double> auc;      // absent when one class is missing
};

// The last `window` predictions of this worker's training. 12 bytes a sample of the window, allocated as they come.
// Add is a copy; Measure costs a sort of the window (about 10 ms for 100,000): call it when it is shown. One thread.
class RollingWindow {
 public:
  explicit RollingWindow(int64_t window);

  // As EvaluationAccumulator::Add. Samples that are not usable are left out.
  void Add(std::span<const float> logits, std::span<const float> labels, std::span<const float> weights);
  WindowMetrics Measure() const;

 private:
  const size_t window_;
  size_t next_ = 0;  // where the next sample goes once the window is full
  std::vector<float> logits_;
  std::vector<float> labels_;
  std::vector<float> weights_;
};

}  // namespace weir
