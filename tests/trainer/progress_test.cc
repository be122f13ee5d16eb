#include "trainer/progress.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/fake_clock.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

WindowMetrics Metrics() { return {.samples = 1000, .logloss = 0.45124, .auc = 0.78011}; }

ProgressState State(int64_t step) {
  return {.step = step,
          .steps_total = 5000,
          .epoch = 1,
          .epochs_total = 3,
          .samples = step * 1000,
          .samples_total = 5'000'000};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Progress, WritesPlainLinesNowAndThen) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress({.terminal = false, .every_s = 10}, out, clock);
  for (int64_t step = 1; step <= 251; ++step) {
    progress.Update(State(step), Metrics);
    clock.AdvanceSeconds(0.1);
  }
  const std::vector<std::string> lines = Lines(out.str());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "step 101/5000  epoch 1/3  10.0k samples/s  logloss 0.4512  AUC 0.7801  ETA 8m10s");
  EXPECT_THAT(out.str(), Not(HasSubstr("\033")));
  EXPECT_THAT(out.str(), Not(HasSubstr("\r")));
}

TEST(Progress, RewritesOneLineOnATerminal) {
  FakeClock clock;
  std::ostringstream out;
  int measured = 0;
  {
    Progress progress({.terminal = true, .width = 40, .every_s = 10}, out, clock);
    for (int64_t step = 1; step <= 1000; ++step) {
      progress.Update(State(step), [&measured] {
        ++measured;
        return Metrics();
      });
      clock.AdvanceSeconds(0.01);
    }
  }
  const std::string text = out.str();
  EXPECT_EQ(text.find('\n'), std::string::npos) << "it stays on its line";
  EXPECT_TRUE(text.ends_with("\r\033[K")) << "and is gone at the end";
  EXPECT_THAT(text, HasSubstr("\r\033[Kstep 11/5000  epoch 1/3"));
  int drawn = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("\033[K", at) + 3;
    const size_t end = std::min(text.find('\r', begin), text.size());
    EXPECT_LT(end - begin, 40u) << "it never wraps";
    drawn += end > begin;
    at = end + 1;
  }
  EXPECT_GE(drawn, 90) << "ten a second, in ten seconds";
  EXPECT_LE(drawn, 100);
  EXPECT_GE(measured, 8);
  EXPECT_LE(measured, 11) << "the metrics cost more than the line";
}

TEST(Progress, WhatIsSaidStandsAlone) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress({.terminal = true, .width = 80}, out, clock);
  progress.Say("first");
  progress.Update(State(1), nullptr);
  clock.AdvanceSeconds(1);
  progress.Update(State(2), nullptr);
  out.str("");
  progress.Say("evaluation at step 2: auc 0.9");
  EXPECT_EQ(out.str(), "\r\033[Kevaluation at step 2: auc 0.9\n");
  progress.Clear();
  EXPECT_EQ(out.str(), "\r\033[Kevaluation at step 2: auc 0.9\n") << "nothing stands that could be cleared";
}

TEST(Progress, UnknownThingsAreLeftOut) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress({.terminal = false, .every_s = 1}, out, clock);
  progress.Update({.step = 1}, nullptr);
  clock.AdvanceSeconds(2);
  progress.Update({.step = 5, .samples = 40}, [] { return WindowMetrics(); });
  EXPECT_EQ(out.str(), "step 5  20 samples/s\n");
}

TEST(Progress, EtaBySteps) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress({.terminal = false, .every_s = 1}, out, clock);
  progress.Update({.step = 0, .steps_total = 100}, nullptr);
  clock.AdvanceSeconds(10);
  progress.Update({.step = 10, .steps_total = 100, .samples = 10}, nullptr);
  EXPECT_EQ(out.str(), "step 10/100  1 samples/s  ETA 1m30s\n");
}

TEST(ShortForms, Numbers) {
  EXPECT_EQ(ShortNumber(0), "0");
  EXPECT_EQ(ShortNumber(999), "999");
  EXPECT_EQ(ShortNumber(1234), "1.23k");
  EXPECT_EQ(ShortNumber(12345), "12.3k");
  EXPECT_EQ(ShortNumber(999'400), "999k");
  EXPECT_EQ(ShortNumber(999'900), "1.00M");
  EXPECT_EQ(ShortNumber(4.5e9), "4.50G");
}

TEST(ShortForms, Durations) {
  EXPECT_EQ(ShortDuration(0.4), "0s");
  EXPECT_EQ(ShortDuration(59.7), "1m00s");
  EXPECT_EQ(ShortDuration(192), "3m12s");
  EXPECT_EQ(ShortDuration(7500), "2h05m");
  EXPECT_EQ(ShortDuration(90000), "1d01h");
}

}  // namespace
}  // namespace weir
