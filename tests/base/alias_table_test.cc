#include "base/alias_table.h"

#include <numeric>

#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

// Every 64-bit place at equal distances stands for the whole of them: the shares of a table are exact to the distance.
std::vector<double> Shares(const std::vector<double>& weights) {
  constexpr int64_t kDraws = 1 << 20;
  const AliasTable table(weights);
  std::vector<double> shares(weights.size());
  for (int64_t i = 0; i < kDraws; ++i) {
    shares.at(table.Draw((static_cast<uint64_t>(i) << 44) | 0x80000000000ULL)) += 1.0 / kDraws;
  }
  return shares;
}

TEST(AliasTable, SharesAreTheWeights) {
  std::vector<double> random;
  for (int i = 0; i < 1000; ++i) random.push_back(UnitDouble(RandomBits(7, RandomPurpose::kSampling, i)));
  const std::vector<std::vector<double>> cases = {
      {5}, {1, 1}, {0, 1}, {1, 0, 0}, {1, 2, 3, 4}, {1e-12, 1}, {1e300, 1e300, 2e300}, random};
  for (const std::vector<double>& weights : cases) {
    double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const std::vector<double> shares = Shares(weights);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(shares[i], weights[i] / sum, 2e-5) << i << " of " << weights.size();
      if (weights[i] == 0) {
        EXPECT_EQ(shares[i], 0);
      }
    }
  }
}

TEST(AliasTable, EndsOfTheBitsAreWithinTheTable) {
  const AliasTable table(std::vector<double>{3, 1, 2});
  EXPECT_LT(table.Draw(0), 3u);
  EXPECT_LT(table.Draw(UINT64_MAX), 3u);
}

}  // namespace
}  // namespace weir
