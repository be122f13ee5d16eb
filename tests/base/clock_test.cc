#include "base/clock.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(ClockTest, SleepsAsLongAsAsked) {
  const Clock& clock = SystemClock();
  const int64_t start = clock.SteadyNanos();
  clock.SleepNanos(5 * kNanosPerMilli);
  EXPECT_GE(clock.SteadyNanos() - start, 5 * kNanosPerMilli);
}

TEST(ClockTest, UnixTimeIsOfThisCentury) {
  const int64_t seconds = SystemClock().UnixNanos() / kNanosPerSecond;
  EXPECT_GT(seconds, 1'700'000'000);  // 2023
  EXPECT_LT(seconds, 4'102'444'800);  // 2100
}

}  // namespace
}  // namespace weir
