#include "trainer/rate_meter.h"

#include <gtest/gtest.h>

#include "tests/trainer/fake_clock.h"

namespace weir {
namespace {

// Steps of 100 samples; seconds each.
void Steps(int count, double seconds, FakeClock* clock, RateMeter* meter) {
  for (int i = 0; i < count; ++i) {
    clock->AdvanceSeconds(seconds);
    meter->StepDone(100);
  }
}

TEST(RateMeter, LeavesOutTheWarmUp) {
  FakeClock clock;
  RateMeter meter(clock);
  Steps(20, 5, &clock, &meter);
  Steps(30, 0.5, &clock, &meter);
  EXPECT_DOUBLE_EQ(*meter.SamplesPerS(), 200);
  EXPECT_EQ(meter.samples(), 5000);
  EXPECT_EQ(meter.steps(), 50);
}

TEST(RateMeter, CountsTheDrain) {
  FakeClock clock;
  RateMeter meter(clock);
  Steps(40, 1, &clock, &meter);
  clock.AdvanceSeconds(20);
  meter.Pause();
  clock.AdvanceSeconds(1000);
  EXPECT_DOUBLE_EQ(*meter.SamplesPerS(), 50) << "20 steps in 40 s; what comes after the end does not count";
}

TEST(RateMeter, LeavesOutPauses) {
  FakeClock clock;
  RateMeter meter(clock);
  Steps(10, 1, &clock, &meter);
  meter.Pause();
  clock.AdvanceSeconds(77);
  meter.Resume();
  meter.Resume();
  Steps(15, 1, &clock, &meter);
  meter.Pause();
  clock.AdvanceSeconds(99);
  meter.Pause();
  clock.AdvanceSeconds(1);
  meter.Resume();
  Steps(5, 1, &clock, &meter);
  EXPECT_DOUBLE_EQ(*meter.SamplesPerS(), 100);
}

TEST(RateMeter, AShortRunCountsFromTheStart) {
  FakeClock clock;
  RateMeter meter(clock);
  EXPECT_FALSE(meter.SamplesPerS().has_value());
  Steps(20, 2, &clock, &meter);
  EXPECT_DOUBLE_EQ(*meter.SamplesPerS(), 50);
}

}  // namespace
}  // namespace weir
