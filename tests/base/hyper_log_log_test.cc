// The error that HyperLogLog states, from no value to millions.
#include "base/hyper_log_log.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

TEST(HyperLogLog, IsZeroWithoutValuesAndNearlyExactWithFew) {
  HyperLogLog sketch;
  EXPECT_EQ(sketch.Estimate(), 0);
  for (uint64_t i = 0; i < 100; ++i) sketch.Add(Fmix64(i + 1));
  EXPECT_NEAR(sketch.Estimate(), 100, 2);
}

TEST(HyperLogLog, TakesEveryHash) {
  HyperLogLog sketch;
  sketch.Add(0);
  sketch.Add(~uint64_t{0});
  EXPECT_NEAR(sketch.Estimate(), 2, 0.1);
}

TEST(HyperLogLog, CountsAValueOnce) {
  HyperLogLog once, often;
  for (uint64_t i = 0; i < 50'000; ++i) {
    once.Add(Fmix64(i));
    for (int times = 0; times < 3; ++times) often.Add(Fmix64(i));
  }
  EXPECT_EQ(once.Estimate(), often.Estimate());
}

// Over 40 seeds: the root mean square error within a fifth of the stated one, no error above four times it.
TEST(HyperLogLog, KeepsItsError) {
  for (const int64_t n : {1'000, 30'000, 100'000, 400'000}) {
    double squares = 0;
    constexpr int kSeeds = 40;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      HyperLogLog sketch;
      for (int64_t i = 0; i < n; ++i) sketch.Add(SplitMix64(seed << 40 | static_cast<uint64_t>(i)));
      const double error = sketch.Estimate() / static_cast<double>(n) - 1;
      EXPECT_LT(std::abs(error), 4 * HyperLogLog::kRelativeError) << n << ", seed " << seed;
      squares += error * error;
    }
    EXPECT_LT(std::sqrt(squares / kSeeds), 1.2 * HyperLogLog::kRelativeError) << n;
  }
}

}  // namespace
}  // namespace weir
