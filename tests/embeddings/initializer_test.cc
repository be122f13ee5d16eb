#include "embeddings/initializer.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

InitializerConfig Uniform(double scale) {
  InitializerConfig config;
  config.mutable_uniform()->set_scale(scale);
  return config;
}

InitializerConfig Normal(double stddev) {
  InitializerConfig config;
  config.mutable_normal()->set_stddev(stddev);
  return config;
}

std::vector<float> Weights(const InitializerConfig& config, int dim, uint64_t seed, uint64_t key) {
  std::vector<float> weights(dim, -99);
  MakeRowInitializer(config, dim, seed)->Initialize(key, weights.data());
  return weights;
}

TEST(InitializerTest, IsAFunctionOfSeedAndKey) {
  for (const InitializerConfig& config : {Uniform(0.5), Normal(0.5)}) {
    for (int dim : {1, 2, 7, 16}) {
      EXPECT_EQ(Weights(config, dim, 3, 4), Weights(config, dim, 3, 4));
      EXPECT_NE(Weights(config, dim, 3, 4), Weights(config, dim, 3, 5));
      EXPECT_NE(Weights(config, dim, 3, 4), Weights(config, dim, 4, 4));
    }
    EXPECT_NE(Weights(config, 2, 0, 0), Weights(config, 2, 0, ~uint64_t{0}));
  }
}

TEST(InitializerTest, UniformIsTheDocumentedDraw) {
  for (Isa isa : KnownIsas()) {
    for (int dim : {1, 8, 33}) {
      std::vector<float> weights(dim);
      MakeRowInitializer(Uniform(0.25), dim, 11, isa)->Initialize(22, weights.data());
      for (int c = 0; c < dim; ++c) {
        const float unit = UnitFloat(RandomBits(11, RandomPurpose::kRowInit, 22, c));
        EXPECT_EQ(weights[c], (unit * 2 - 1) * 0.25f) << IsaName(isa);
      }
    }
  }
}

// Values of released versions: a change would give every resumed run other new rows.
TEST(InitializerTest, GoldenValues) {
  EXPECT_EQ(Weights(Uniform(0.05), 2, 1, 2), Weights(InitializerConfig(), 2, 1, 2)) << "the default";
  const std::vector<float> uniform = Weights(Uniform(1), 2, 1, 2);
  const std::vector<float> normal = Weights(Normal(1), 3, 1, 2);
  EXPECT_FLOAT_EQ(uniform[0], 0.080956697f);
  EXPECT_FLOAT_EQ(uniform[1], -0.65444744f);
  EXPECT_FLOAT_EQ(normal[0], 2.6066582f);
  EXPECT_FLOAT_EQ(normal[1], 1.6156915f);
  EXPECT_FLOAT_EQ(normal[2], -0.82688147f);
}

TEST(InitializerTest, UniformFillsItsInterval) {
  double sum = 0, squares = 0, least = 1, most = -1;
  const int keys = 20000, dim = 5;
  for (uint64_t key = 0; key < keys; ++key) {
    for (float w : Weights(Uniform(0.5), dim, 7, key)) {
      sum += w, squares += w * w;
      least = std::min<double>(least, w), most = std::max<double>(most, w);
    }
  }
  const double n = keys * dim;
  EXPECT_NEAR(sum / n, 0, 5 * 0.2887 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0 / 12, 0.001);
  EXPECT_GE(least, -0.5);
  EXPECT_LT(most, 0.5);
  EXPECT_LT(least, -0.499);
  EXPECT_GT(most, 0.499);
}

TEST(InitializerTest, NormalHasItsMomentsAndShape) {
  double sum = 0, squares = 0, fourths = 0, pairs = 0;
  int within_one = 0, beyond_three = 0;
  const int keys = 50000, dim = 4;
  for (uint64_t key = 0; key < keys; ++key) {
    const std::vector<float> weights = Weights(Normal(1), dim, 7, key);
    for (float w : weights) {
      sum += w, squares += w * w, fourths += w * w * w * w;
      within_one += std::fabs(w)<1, beyond_three += std::fabs(w)> 3;
    }
    pairs += weights[0] * weights[1];
  }
  const double n = keys * dim;
  EXPECT_NEAR(sum / n, 0, 0.012);
  EXPECT_NEAR(squares / n, 1, 0.02);
  EXPECT_NEAR(fourths / n, 3, 0.15);
  EXPECT_NEAR(within_one / n, 0.6827, 0.006);
  EXPECT_NEAR(beyond_three / n, 0.0027, 0.0006);
  EXPECT_NEAR(pairs / keys, 0, 0.025);
}

TEST(InitializerTest, ConstantIsConstant) {
  InitializerConfig config;
  config.mutable_constant()->set_value(1.5);
  EXPECT_EQ(Weights(config, 3, 1, 2), (std::vector<float>{1.5, 1.5, 1.5}));
}

}  // namespace
}  // namespace weir
