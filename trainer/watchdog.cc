#include "trainer/watchdog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace weir {

Watchdog::Watchdog(std::string who, int64_t timeout_ns, std::function<void(const std::string&)> on_stuck,
                   const Clock& clock)
    : who_(std::move(who)),
      timeout_ns_(timeout_ns),
      on_stuck_(std::move(on_stuck)),
      clock_(clock),
      marked_at_ns_(clock.SteadyNanos()),
      thread_([this] { Watch(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

void Watchdog::Mark(const char* what, int64_t number) {
  const int64_t now_ns = clock_.SteadyNanos();
  std::lock_guard lock(mutex_);
  what_ = what;
  number_ = number;
  marked_at_ns_ = now_ns;
}

void Watchdog::Watch() {
  // Looks ten times within the timeout, so it is noticed at most a tenth late.
  const auto pause = std::chrono::nanoseconds(std::clamp<int64_t>(timeout_ns_ / 10, kNanosPerMilli, kNanosPerSecond));
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const int64_t waited_ns = clock_.SteadyNanos() - marked_at_ns_;
    if (waited_ns > timeout_ns_) {
      const std::string message = Message();
      lock.unlock();
      on_stuck_(message);
      return;
    }
    stop_changed_.wait_for(lock, pause, [this] { return stop_; });
  }
}

std::string Watchdog::Message() const {
  std::string last = what_ == nullptr ? "nothing yet" : fmt::format("{} {}", what_, number_);
  return fmt::format("{}: no step, evaluation batch or checkpoint block finished for {:g} s; last: {}", who_,
                     timeout_ns_ / double{kNanosPerSecond}, last);
}

}  // namespace weir
