#include "trainer/auc.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>
#include <glog/logging.h>

namespace weir {
namespace {

// What is sorted: the score's order above, the sample below, so that samples of one score keep their order.
std::vector<uint64_t> SortedSamples(std::span<const float> scores) {
  CHECK_LT(scores.size(), size_t{1} << 32);
  std::vector<uint64_t> sorted(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) sorted[i] = uint64_t{OrderedScore(scores[i])} << 32 | i;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

std::optional<double> AucSum::Value() const {
  if (!(positive_ > 0) || !(negative_ > 0)) return std::nullopt;
  return area_ / positive_ / negative_;
}

uint32_t OrderedScore(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 + 0 is +0
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

std::vector<ScoreGroup> GroupByScore(std::span<const float> scores, std::span<const float> labels,
                                     std::span<const float> weights) {
  CHECK_EQ(scores.size(), labels.size());
  CHECK(weights.empty() || weights.size() == scores.size());
  std::vector<ScoreGroup> groups;
  uint64_t last_order = 1ULL << 32;  // no score's
  for (uint64_t sample : SortedSamples(scores)) {
    const uint64_t order = sample >> 32;
    const uint32_t index = static_cast<uint32_t>(sample);
    if (order != last_order) groups.push_back({scores[index] + 0.0f, 0, 0});
    last_order = order;
    const double weight = weights.empty() ? 1.0 : weights[index];
    groups.back().positive += weight * labels[index];
    groups.back().negative += weight * (1.0 - labels[index]);
  }
  return groups;
}

bool UsableSample(float score, float label, float weight) {
  return std::isfinite(score) && label >= 0 && label <= 1 && std::isfinite(weight) && weight >= 0;
}

Result<std::optional<double>> RocAuc(std::span<const float> scores, std::span<const float> labels,
                                     std::span<const float> weights) {
  CHECK_EQ(scores.size(), labels.size());
  CHECK(weights.empty() || weights.size() == scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    const float weight = weights.empty() ? 1.0f : weights[i];
    if (!UsableSample(scores[i], labels[i], weight)) {
      return InvalidArgument(fmt::format(
          "AUC: expected finite scores, labels in [0, 1] and weights of at least 0; sample {} has {}, {} and {}", i,
          scores[i], labels[i], weight));
    }
  }
  AucSum sum;
  for (const ScoreGroup& group : GroupByScore(scores, labels, weights)) sum.Add(group.positive, group.negative);
  return sum.Value();
}

}  // namespace weir
