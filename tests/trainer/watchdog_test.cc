#include "trainer/watchdog.h"

#include <chrono>
#include <future>

#include <gtest/gtest.h>

#include "tests/trainer/fake_clock.h"

namespace weir {
namespace {

constexpr auto kSoon = std::chrono::seconds(20);

TEST(Watchdog, NamesWhatWasDoneLast) {
  FakeClock clock;
  std::promise<std::string> stuck;
  Watchdog watchdog(
      "rank 0 on host-a", kNanosPerSecond, [&](const std::string& text) { stuck.set_value(text); }, clock);
  clock.AdvanceSeconds(0.9);
  watchdog.Mark("step", 57);
  auto said = stuck.get_future();
  clock.AdvanceSeconds(0.9);
  EXPECT_EQ(said.wait_for(std::chrono::milliseconds(400)), std::future_status::timeout) << "0.9 s since the mark";
  clock.AdvanceSeconds(0.2);
  ASSERT_EQ(said.wait_for(kSoon), std::future_status::ready);
  EXPECT_EQ(said.get(),
            "rank 0 on host-a: no step, evaluation batch or checkpoint block finished for 1 s; last: step 57");
}

TEST(Watchdog, WaitsFromTheStart) {
  std::promise<std::string> stuck;
  Watchdog watchdog("rank 3", 20 * kNanosPerMilli, [&](const std::string& text) { stuck.set_value(text); });
  auto said = stuck.get_future();
  ASSERT_EQ(said.wait_for(kSoon), std::future_status::ready);
  EXPECT_EQ(said.get(), "rank 3: no step, evaluation batch or checkpoint block finished for 0.02 s; last: nothing yet");
}

TEST(Watchdog, EndsWithoutWaiting) {
  bool called = false;
  const auto start = std::chrono::steady_clock::now();
  {
    Watchdog watchdog("rank 0", 3600 * kNanosPerSecond, [&](const std::string&) { called = true; });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace weir
