#include "trainer/auc.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

struct Samples {
  std::vector<float> scores, labels, weights;
};

// distinct: how many scores there are; soft: labels between 0 and 1 too.
Samples RandomSamples(uint64_t seed, size_t count, uint64_t distinct, bool soft) {
  Samples samples;
  for (size_t i = 0; i < count; ++i) {
    auto draw = [&](uint64_t what) { return RandomBits(seed, RandomPurpose::kSampling, i, what); };
    samples.scores.push_back(static_cast<float>(BoundedIndex(draw(0), distinct)) - static_cast<float>(distinct) / 2);
    samples.labels.push_back(soft ? UnitFloat(draw(1)) : static_cast<float>(draw(1) & 1));
    samples.weights.push_back(UnitFloat(draw(2)) * 3);
  }
  return samples;
}

// Every pair: the definition.
double OracleAuc(const Samples& samples) {
  double better = 0, pairs = 0;
  for (size_t i = 0; i < samples.scores.size(); ++i) {
    for (size_t j = 0; j < samples.scores.size(); ++j) {
      const double pair =
          double{samples.weights[i]} * samples.labels[i] * samples.weights[j] * (1.0 - samples.labels[j]);
      pairs += pair;
      if (samples.scores[i] > samples.scores[j]) better += pair;
      if (samples.scores[i] == samples.scores[j]) better += pair / 2;
    }
  }
  return better / pairs;
}

TEST(RocAuc, IsThePairwiseDefinition) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t distinct : {1, 2, 7, 1000000}) {
      const Samples samples = RandomSamples(seed, 200, distinct, seed % 2 == 1);
      auto auc = RocAuc(samples.scores, samples.labels, samples.weights);
      ASSERT_TRUE(auc.ok()) << auc.status().ToString();
      ASSERT_TRUE(auc->has_value());
      EXPECT_NEAR(**auc, OracleAuc(samples), 1e-12) << "seed " << seed << ", distinct scores " << distinct;
    }
  }
}

double AucOf(const std::vector<float>& scores, const std::vector<float>& labels) {
  return RocAuc(scores, labels).value().value();
}

TEST(RocAuc, EdgeCases) {
  EXPECT_EQ(AucOf({1, 2}, {0, 1}), 1.0);
  EXPECT_EQ(AucOf({2, 1}, {0, 1}), 0.0);
  EXPECT_EQ(AucOf({3, 3}, {0, 1}), 0.5);
  EXPECT_EQ(AucOf({-0.0f, 0.0f}, {0, 1}), 0.5) << "both zeros are one score";
  EXPECT_EQ(AucOf({-1, -2, 0.5}, {0, 1, 1}), 0.5) << "negative scores are in order";
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(AucOf({-tiny, tiny}, {0, 1}), 1.0);
}

TEST(RocAuc, IsAbsentWithoutBothClasses) {
  EXPECT_FALSE(RocAuc(std::vector<float>{}, std::vector<float>{}).value().has_value());
  EXPECT_FALSE(RocAuc(std::vector<float>{1, 2}, std::vector<float>{1, 1}).value().has_value());
  EXPECT_FALSE(RocAuc(std::vector<float>{1, 2}, std::vector<float>{0, 0}).value().has_value());
  EXPECT_FALSE(
      RocAuc(std::vector<float>{1, 2}, std::vector<float>{0, 1}, std::vector<float>{1, 0}).value().has_value());
}

TEST(RocAuc, RefusesWhatCannotBeMeasured) {
  auto auc = RocAuc(std::vector<float>{1, std::nanf("")}, std::vector<float>{0, 1});
  EXPECT_EQ(auc.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(auc.status().message(), HasSubstr("sample 1 has nan"));
  EXPECT_FALSE(RocAuc(std::vector<float>{1, 2}, std::vector<float>{0, 2}).ok());
  EXPECT_FALSE(RocAuc(std::vector<float>{1, 2}, std::vector<float>{0, 1}, std::vector<float>{1, -1}).ok());
}

TEST(OrderedScore, KeepsTheOrder) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> scores = {-inf, -3e38f, -1.5f, -1e-40f, 0, 1e-40f, 1, 1.5f, 3e38f, inf};
  for (size_t i = 1; i < scores.size(); ++i) EXPECT_LT(OrderedScore(scores[i - 1]), OrderedScore(scores[i]));
  EXPECT_EQ(OrderedScore(-0.0f), OrderedScore(0.0f));
}

}  // namespace
}  // namespace weir
