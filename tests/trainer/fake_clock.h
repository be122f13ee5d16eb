// A clock that stands until it is told.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace weir {

class FakeClock : public Clock {
 public:
  int64_t SteadyNanos() const override { return now_ns_; }
  int64_t UnixNanos() const override { return 1'700'000'000 * kNanosPerSecond + now_ns_; }
  void SleepNanos(int64_t duration_ns) const override { now_ns_ += duration_ns; }
  void AdvanceSeconds(double seconds) { now_ns_ += static_cast<int64_t>(seconds * kNanosPerSecond); }

 private:
  mutable std::atomic<int64_t> now_ns_{1};
};

}  // namespace weir
