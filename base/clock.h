// Time as a seam, so that tests can run deadlines on a time of their own.
#pragma once

#include <cstdint>

namespace weir {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Steady nanoseconds since an arbitrary start: for durations and deadlines.
  virtual int64_t SteadyNanos() const = 0;
  // Nanoseconds since the Unix epoch: for what people and files read.
  virtual int64_t UnixNanos() const = 0;
  virtual void SleepNanos(int64_t duration_ns) const = 0;
};

// The machine's clocks. Lives for the whole process.
const Clock& SystemClock();

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerMilli = 1'000'000;

}  // namespace weir
