#include "trainer/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <glog/logging.h>

#include "trainer/auc.h"

namespace weir {
namespace {

// Scores are gathered in ranges of their upper 16 bits: a range has 65,536 distinct scores at most, so it fits in
// memory whatever the samples are.
constexpr int kRanges = 1 << 16;

int RangeOf(const ScoreGroup& group) { return static_cast<int>(OrderedScore(group.score) >> 16); }

std::span<const uint8_t> BytesOf(std::span<const ScoreGroup> groups) {
  return {reinterpret_cast<const uint8_t*>(groups.data()), groups.size_bytes()};
}

std::vector<ScoreGroup> GroupsOf(std::span<const uint8_t> bytes) {
  CHECK_EQ(bytes.size() % sizeof(ScoreGroup), 0u);
  std::vector<ScoreGroup> groups(bytes.size() / sizeof(ScoreGroup));
  if (!groups.empty()) std::memcpy(groups.data(), bytes.data(), bytes.size());
  return groups;
}

// Adds the groups of all workers, each ascending, in the order of the scores, those of one score in rank order.
void MergeInto(const std::vector<std::vector<ScoreGroup>>& runs, AucSum* sum) {
  std::vector<ScoreGroup> merged;
  for (const std::vector<ScoreGroup>& run : runs) {
    const size_t middle = merged.size();
    merged.insert(merged.end(), run.begin(), run.end());
    std::inplace_merge(merged.begin(), merged.begin() + middle, merged.end(),
                       [](const ScoreGroup& a, const ScoreGroup& b) { return a.score < b.score; });
  }
  for (size_t begin = 0; begin < merged.size();) {
    ScoreGroup group = merged[begin];
    size_t end = begin + 1;
    for (; end < merged.size() && merged[end].score == group.score; ++end) {
      group.positive += merged[end].positive;
      group.negative += merged[end].negative;
    }
    sum->Add(group.positive, group.negative);
    begin = end;
  }
}

// The AUC over the groups of all workers: the same calls and the same bits on each.
Result<std::optional<double>> AucOfAll(Collective& workers, const std::vector<ScoreGroup>& mine, int64_t group_limit) {
  AucSum sum;
  if (workers.size() == 1) {
    for (const ScoreGroup& group : mine) sum.Add(group.positive, group.negative);
    return sum.Value();
  }
  std::vector<double> counts(kRanges);
  for (const ScoreGroup& group : mine) ++counts[RangeOf(group)];
  WEIR_RETURN_IF_ERROR(workers.AllReduceSum(std::span<double>(counts)));
  size_t begin = 0;
  for (int range = 0; range < kRanges;) {
    double together = counts[range];
    for (++range; range < kRanges && together + counts[range] <= group_limit; ++range) together += counts[range];
    size_t end = begin;
    while (end < mine.size() && RangeOf(mine[end]) < range) ++end;
    WEIR_ASSIGN_OR_RETURN(auto gathered, workers.AllGather(BytesOf(std::span(mine).subspan(begin, end - begin))));
    std::vector<std::vector<ScoreGroup>> runs;
    for (const std::vector<uint8_t>& bytes : gathered) runs.push_back(GroupsOf(bytes));
    MergeInto(runs, &sum);
    begin = end;
  }
  return sum.Value();
}

// The sums of one worker's samples, as they are added over workers.
struct Sums {
  double samples = 0;
  double unusable = 0;
  double weight = 0;
  double loss = 0;
  double predictions = 0;
  double labels = 0;
};
static_assert(sizeof(Sums) == 6 * sizeof(double));

Sums SumOf(std::span<const float> logits, std::span<const float> labels, std::span<const float> weights) {
  Sums sums;
  sums.samples = static_cast<double>(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = weights[i];
    sums.weight += weight;
    sums.loss += weight * LogLoss(logits[i], labels[i]);
    sums.predictions += weight * Sigmoid(logits[i]);
    sums.labels += weight * labels[i];
  }
  return sums;
}

}  // namespace

double LogLoss(float logit, float label) {
  const double x = logit;
  // max(x, 0) - x * y + log(1 + exp(-|x|)), without the difference of large numbers.
  const double hinge = x > 0 ? x * (1.0 - label) : -x * label;
  return hinge + std::log1p(std::exp(-std::abs(x)));
}

double Sigmoid(float logit) {
  const double e = std::exp(-std::abs(double{logit}));
  return logit >= 0 ? 1 / (1 + e) : e / (1 + e);
}

void EvaluationAccumulator::Add(std::span<const float> logits, std::span<const float> labels,
                                std::span<const float> weights) {
  CHECK_EQ(logits.size(), labels.size());
  CHECK(weights.empty() || weights.size() == logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const float weight = weights.empty() ? 1.0f : weights[i];
    if (!UsableSample(logits[i], labels[i], weight)) ++unusable_;
    weights_.push_back(weight);
  }
  logits_.insert(logits_.end(), logits.begin(), logits.end());
  labels_.insert(labels_.end(), labels.begin(), labels.end());
}

Result<Evaluation> EvaluationAccumulator::Finish(Collective& workers, int64_t step, int64_t group_limit) const {
  Sums sums;
  if (unusable_ == 0) sums = SumOf(logits_, labels_, weights_);
  sums.samples = static_cast<double>(samples());
  sums.unusable = static_cast<double>(unusable_);
  WEIR_RETURN_IF_ERROR(workers.AllReduceSum(std::span<double>(&sums.samples, sizeof(Sums) / sizeof(double))));
  if (sums.unusable > 0) {
    return OutOfRange(fmt::format(
        "evaluation at step {}: expected finite predictions, labels in [0, 1] and weights of at least 0; {} of {} "
        "samples have others: training diverged (a smaller learning rate may help) or the data is bad",
        step, sums.unusable, sums.samples));
  }
  if (!(sums.weight > 0)) {
    return FailedPrecondition(
        fmt::format("evaluation at step {}: {} samples with no weight in all: nothing to measure", step, sums.samples));
  }
  WEIR_ASSIGN_OR_RETURN(std::optional<double> auc,
                        AucOfAll(workers, GroupByScore(logits_, labels_, weights_), group_limit));
  Evaluation evaluation;
  evaluation.set_step(step);
  evaluation.set_samples(static_cast<int64_t>(sums.samples));
  evaluation.set_logloss(sums.loss / sums.weight);
  if (auc) evaluation.set_auc(*auc);
  if (sums.labels > 0) evaluation.set_calibration(sums.predictions / sums.labels);
  return evaluation;
}

void EvaluationAccumulator::Clear() {
  logits_.clear();
  labels_.clear();
  weights_.clear();
  unusable_ = 0;
}

RollingWindow::RollingWindow(int64_t window) : window_(window) { CHECK_GT(window, 0); }

void RollingWindow::Add(std::span<const float> logits, std::span<const float> labels, std::span<const float> weights) {
  CHECK_EQ(logits.size(), labels.size());
  CHECK(weights.empty() || weights.size() == logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const float weight = weights.empty() ? 1.0f : weights[i];
    if (!UsableSample(logits[i], labels[i], weight)) continue;
    if (logits_.size() < window_) {
      logits_.push_back(logits[i]);
      labels_.push_back(labels[i]);
      weights_.push_back(weight);
      continue;
    }
    logits_[next_] = logits[i];
    labels_[next_] = labels[i];
    weights_[next_] = weight;
    next_ = (next_ + 1) % window_;
  }
}

WindowMetrics RollingWindow::Measure() const {
  WindowMetrics metrics;
  metrics.samples = static_cast<int64_t>(logits_.size());
  const Sums sums = SumOf(logits_, labels_, weights_);
  if (sums.weight > 0) metrics.logloss = sums.loss / sums.weight;
  AucSum auc;
  for (const ScoreGroup& group : GroupByScore(logits_, labels_, weights_)) auc.Add(group.positive, group.negative);
  metrics.auc = auc.Value();
  return metrics;
}

}  // namespace weir
