// The promises of Space-Saving, against exact counts.
#include "base/heavy_hitters.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr uint64_t kSeed = 20260301;

TEST(HeavyHitters, IsExactWhileKeysHaveCounters) {
  HeavyHitters hitters(4);
  for (const uint64_t key : {7, 8, 7, 9, 7, 8}) hitters.Add(key, 1);
  hitters.Add(~uint64_t{0}, 10);
  EXPECT_EQ(hitters.total(), 16);
  const auto top = hitters.Top(3);
  ASSERT_EQ(top.size(), 3u);
  const HeavyHitters::Counter expected[] = {{~uint64_t{0}, 10, 0}, {7, 3, 0}, {8, 2, 0}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(top[i].key, expected[i].key);
    EXPECT_EQ(top[i].count, expected[i].count);
    EXPECT_EQ(top[i].error, 0);
  }
  EXPECT_EQ(hitters.Top(100).size(), 4u);
  EXPECT_TRUE(HeavyHitters(4).Top(10).empty());
}

TEST(HeavyHitters, ANewKeyTakesTheLeastCounterOver) {
  HeavyHitters hitters(2);
  hitters.Add(1, 5);
  hitters.Add(2, 3);
  hitters.Add(3, 1);
  const auto top = hitters.Top(2);
  EXPECT_EQ(top[1].key, 3u);
  EXPECT_EQ(top[1].count, 4);
  EXPECT_EQ(top[1].error, 3);
  EXPECT_EQ(top[1].number, 1u);
  EXPECT_EQ(hitters.uncounted_max(), 4);
}

TEST(HeavyHitters, SaysWhichCounterAKeyHas) {
  HeavyHitters hitters(2);
  EXPECT_EQ(hitters.uncounted_max(), 0);
  auto added = hitters.Add(7, 5);
  EXPECT_TRUE(added.is_new);
  EXPECT_EQ(added.counter, 0u);
  EXPECT_EQ(hitters.Add(8, 1).counter, 1u);
  EXPECT_FALSE(hitters.Add(7, 1).is_new);
  added = hitters.Add(9, 1);
  EXPECT_TRUE(added.is_new);
  EXPECT_EQ(added.counter, 1u) << "the least one's";
}

// Keys by Zipf's law, in bursts of one to four, with few counters.
TEST(HeavyHitters, KeepsItsBoundsOnASkewedStream) {
  SCOPED_TRACE(kSeed);
  constexpr size_t kCounters = 200;
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<double> uniform(0, 1);
  HeavyHitters hitters(kCounters);
  std::map<uint64_t, int64_t> exact;
  int64_t total = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto key = static_cast<uint64_t>(std::pow(50'000.0, uniform(random)));
    const int64_t times = 1 + static_cast<int64_t>(random() % 4);
    hitters.Add(key, times);
    exact[key] += times;
    total += times;
  }
  EXPECT_EQ(hitters.total(), total);
  const auto counters = hitters.Top(kCounters);
  ASSERT_EQ(counters.size(), kCounters);
  int64_t sum = 0;
  std::map<uint64_t, bool> counted;
  for (size_t i = 0; i < counters.size(); ++i) {
    const HeavyHitters::Counter& counter = counters[i];
    EXPECT_GE(counter.count, exact[counter.key]);
    EXPECT_LE(counter.count - counter.error, exact[counter.key]);
    EXPECT_LE(counter.error * static_cast<int64_t>(kCounters), total);
    EXPECT_LE(counter.count, counters[i > 0 ? i - 1 : 0].count);
    EXPECT_TRUE(counted.emplace(counter.key, true).second);
    sum += counter.count;
  }
  EXPECT_EQ(sum, total) << "every time is counted once";
  int64_t heavy = 0;
  for (const auto& [key, times] : exact) {
    if (times * static_cast<int64_t>(kCounters) <= total) continue;
    EXPECT_TRUE(counted.contains(key)) << key;
    ++heavy;
  }
  EXPECT_GT(heavy, 10);
}

}  // namespace
}  // namespace weir
