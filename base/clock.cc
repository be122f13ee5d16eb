#include "base/clock.h"

#include <chrono>
#include <thread>

namespace weir {
namespace {

class RealClock : public Clock {
 public:
  int64_t SteadyNanos() const override {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  int64_t UnixNanos() const override {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  void SleepNanos(int64_t duration_ns) const override {
    std::this_thread::sleep_for(std::chrono::nanoseconds(duration_ns));
  }
};

}  // namespace

const Clock& SystemClock() {
  static const RealClock clock;
  return clock;
}

}  // namespace weir
