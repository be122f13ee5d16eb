#include "base/trace.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class StepClock : public Clock {
 public:
  int64_t SteadyNanos() const override { return now_ns += 1500; }
  int64_t UnixNanos() const override { return 0; }
  void SleepNanos(int64_t) const override {}
  mutable int64_t now_ns = 0;
};

TEST(TraceTest, SpansAreEventsWithMicrosecondsAndSteps) {
  StepClock clock;
  Trace trace(10, &clock);
  const TraceTrack track = {&trace, trace.AddTrack("step")};
  { const TraceSpan span(track, "pool", 7); }
  const std::string events = trace.ToEvents(3, "rank 3 \"quoted\"", 1000);
  EXPECT_EQ(events,
            "{\"ph\": \"M\", \"name\": \"process_name\", \"pid\": 3, \"args\": {\"name\": \"rank 3 quoted\"}},\n"
            "{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": 3, \"tid\": 0, \"args\": {\"name\": \"step\"}},\n"
            "{\"ph\": \"X\", \"name\": \"pool\", \"pid\": 3, \"tid\": 0, \"ts\": 2.500, \"dur\": 1.500, \"args\": "
            "{\"step\": 7}},\n");
}

TEST(TraceTest, TheLastSpansAreKept) {
  StepClock clock;
  Trace trace(3, &clock);
  const TraceTrack track = {&trace, trace.AddTrack("step")};
  for (int64_t step = 1; step <= 5; ++step) const TraceSpan span(track, "pool", step);
  const std::string events = trace.ToEvents(0, "rank", 0);
  for (int step = 1; step <= 2; ++step) EXPECT_THAT(events, Not(HasSubstr("\"step\": " + std::to_string(step) + "}")));
  size_t at = 0;
  for (int step = 3; step <= 5; ++step) {
    const size_t found = events.find("\"step\": " + std::to_string(step) + "}");
    ASSERT_NE(found, std::string::npos);
    EXPECT_GT(found, at) << "the oldest first";
    at = found;
  }
}

TEST(TraceTest, WithoutATraceNothingHappens) { const TraceSpan span({}, "pool", 1); }

}  // namespace
}  // namespace weir
