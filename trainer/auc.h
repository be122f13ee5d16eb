// Exact area under the ROC curve: the probability that a positive scores above a negative, ties counting half
// (Mann and Whitney, 1947), with weights.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"

namespace weir {

// All samples of one score. A sample of label y and weight w adds y * w to positive and (1 - y) * w to negative, so
// that soft labels count on both sides.
struct ScoreGroup {
  float score;
  double positive;
  double negative;
};

// Adds up the area from groups in ascending order of score; keeps none of them.
class AucSum {
 public:
  void Add(double positive, double negative) {
    area_ += positive * (negative_ + 0.5 * negative);
    positive_ += positive;
    negative_ += negative;
  }
  // Absent when one class has no weight.
  std::optional<double> Value() const;

 private:
  double area_ = 0;
  double positive_ = 0;  // total weight so far
  double negative_ = 0;
};

// The order of a finite score as an unsigned number; -0 and +0 are one.
uint32_t OrderedScore(float score);

// The groups of the samples, ascending. scores, labels: [n]; weights: [n], or empty for 1 each. Samples of one score
// are added in the order given. The values must be usable (see UsableSample).
std::vector<ScoreGroup> GroupByScore(std::span<const float> scores, std::span<const float> labels,
                                     std::span<const float> weights);

// Whether a sample can be measured: finite score, label in [0, 1], finite weight of at least 0.
bool UsableSample(float score, float label, float weight);

// Area of the samples; absent when one class is missing. InvalidArgument names the first sample that is not usable.
// Cost: a sort, and 36 bytes a sample.
Result<std::optional<double>> RocAuc(std::span<const float> scores, std::span<const float> labels,
                                     std::span<const float> weights = {});

}  // namespace weir
