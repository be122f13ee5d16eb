// The rank error that QuantileSketch states, against sorted values.
#include "base/quantile_sketch.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr uint64_t kSeed = 20261124;

std::vector<double> Shares(int parts) {
  std::vector<double> shares;
  for (int i = 0; i <= parts; ++i) shares.push_back(static_cast<double>(i) / parts);
  return shares;
}

TEST(QuantileSketch, IsEmptyWithoutValues) {
  QuantileSketch sketch;
  EXPECT_TRUE(sketch.Quantiles(Shares(4)).empty());
}

TEST(QuantileSketch, IsExactForFewValues) {
  QuantileSketch sketch;
  for (int i = 100; i >= 1; --i) sketch.Add(i);
  EXPECT_EQ(sketch.count(), 100);
  EXPECT_EQ(sketch.Quantiles(std::vector<double>{0, 0.01, 0.25, 0.5, 0.999, 1}),
            (std::vector<double>{1, 1, 25, 50, 100, 100}));
}

// How far the share q lies from those that `value` has in the sorted values.
double RankError(const std::vector<double>& sorted, double q, double value) {
  const auto n = static_cast<double>(sorted.size());
  const auto least = static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin()) / n;
  const auto most = static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), value) - sorted.begin()) / n;
  return std::max({0.0, least - q, q - most});
}

TEST(QuantileSketch, KeepsItsRankErrorInEveryOrder) {
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> skewed(0, 3);
  std::normal_distribution<double> normal(-5, 100);
  constexpr int kValues = 400'000;
  const std::vector<double> shares = Shares(1000);
  for (const std::string order : {"ascending", "descending", "normal", "skewed", "few"}) {
    std::vector<double> values;
    for (int i = 0; i < kValues; ++i) {
      if (order == "ascending")
        values.push_back(i);
      else if (order == "descending")
        values.push_back(-i);
      else if (order == "normal")
        values.push_back(normal(random));
      else if (order == "skewed")
        values.push_back(skewed(random));
      else
        values.push_back(static_cast<double>(random() % 7));
    }
    QuantileSketch sketch;
    for (const double value : values) sketch.Add(value);
    std::sort(values.begin(), values.end());
    const std::vector<double> quantiles = sketch.Quantiles(shares);
    EXPECT_EQ(quantiles.front(), values.front()) << order;
    EXPECT_EQ(quantiles.back(), values.back()) << order;
    double worst = 0;
    for (size_t i = 0; i < shares.size(); ++i) worst = std::max(worst, RankError(values, shares[i], quantiles[i]));
    EXPECT_LT(worst, QuantileSketch::kRankError) << order;
    EXPECT_TRUE(std::is_sorted(quantiles.begin(), quantiles.end())) << order;
  }
}

}  // namespace
}  // namespace weir
