#include "embeddings/step_times.h"

#include <random>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

TEST(StepTimes, StepsExpireByTheirTimes) {
  StepTimes times(100);
  EXPECT_EQ(times.LastExpired(), 0);
  for (int64_t step = 1; step <= 30; ++step) times.Add(step, 1'000'000 + step * 10'000);  // 10 s a step
  EXPECT_EQ(times.LastExpired(), 20);
  times.Add(31, 1'000'000 + 310'000 + 5'000);
  EXPECT_EQ(times.LastExpired(), 21);
}

TEST(StepTimes, AGapExpiresAllBeforeIt) {
  StepTimes times(3600);
  for (int64_t step = 1; step <= 100; ++step) times.Add(step, step);
  EXPECT_EQ(times.LastExpired(), 0);
  times.Add(101, 3600'000 + 100);
  EXPECT_EQ(times.LastExpired(), 100);
  times.Add(102, 3600'000 + 101);
  EXPECT_EQ(times.LastExpired(), 100);
}

TEST(StepTimes, AClockThatGoesBackStandsStill) {
  StepTimes times(10);
  times.Add(1, 100'000);
  times.Add(2, 50'000);
  times.Add(3, 105'000);
  EXPECT_EQ(times.LastExpired(), 0);
  times.Add(4, 110'000);
  EXPECT_EQ(times.LastExpired(), 2);
}

// Against every step's own time: never too early, at most 1/256 of the time to live too late, in bounded memory.
TEST(StepTimes, IsHeldToExactTimes) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  constexpr int64_t kTtlMs = 25'600;
  StepTimes times(25.6);
  std::vector<int64_t> at = {0};
  int64_t now = 1'700'000'000'000;
  for (int64_t step = 1; step <= 20'000; ++step) {
    now += static_cast<int64_t>(random() % 1000 == 0 ? random() % 60'000 : random() % 60);
    at.push_back(now);
    times.Add(step, now);
    const int64_t expired = times.LastExpired();
    int64_t surely = 0, latest = 0;
    for (int64_t s = std::max<int64_t>(1, step - 6000); s <= step; ++s) {
      if (at[s] <= now - kTtlMs) latest = s;
      if (at[s] <= now - kTtlMs - kTtlMs / 256) surely = s;
    }
    ASSERT_LE(expired, latest) << step;
    ASSERT_GE(expired, surely) << step;
    ASSERT_LE(times.groups().size(), 260U);
  }
}

TEST(StepTimes, GoesOnFromWhatWasSaved) {
  StepTimes straight(1), resumed(1);
  for (int64_t step = 1; step <= 300; ++step) {
    straight.Add(step, step * step);
    resumed.Add(step, step * step);
    StepTimes next(1);
    ASSERT_TRUE(next.Load(resumed.groups()).ok());
    resumed = next;
    ASSERT_EQ(resumed.LastExpired(), straight.LastExpired());
  }
  EXPECT_GT(straight.LastExpired(), 290);
}

TEST(StepTimes, NoTimeOverflows) {
  StepTimes times(1);
  times.Add(1, INT64_MIN);
  times.Add(2, INT64_MAX);
  times.Add(2, 5);
  times.Add(3, 5);
  EXPECT_EQ(times.LastExpired(), 1);
}

TEST(StepTimes, RefusesWhatIsOutOfOrder) {
  StepTimes times(1);
  using Groups = std::vector<StepTimes::Group>;
  EXPECT_TRUE(times.Load(Groups{{1, 5, 6}, {3, 6, 6}}).ok());
  for (const Groups& groups : {Groups{{1, 6, 5}}, Groups{{1, -1, 5}}, Groups{{1, 5, int64_t{1} << 61}},
                               Groups{{0, 5, 5}}, Groups{{2, 5, 5}, {2, 6, 6}}, Groups{{1, 5, 7}, {2, 6, 8}}}) {
    EXPECT_EQ(times.Load(groups).code(), StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace weir
