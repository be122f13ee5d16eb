// Watchdog: notices that this rank makes no progress (cluster.progress_s) though it is alive.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"

namespace weir {

// Owns a thread. Mark from any thread; it is cheap (a lock and two stores).
class Watchdog {
 public:
  // who: how the message names this rank ("rank 0 on host-a"). on_stuck: called once at most, on the watchdog's thread,
  // with a message such as "rank 0 on host-a: no step, evaluation batch or checkpoint block finished for 600 s; last:
  // step 57"; what it does (log, MpiWorld::Abort) is the caller's. The time starts now. clock must outlive it.
  Watchdog(std::string who, int64_t timeout_ns, std::function<void(const std::string&)> on_stuck,
           const Clock& clock = SystemClock());
  // Stops the thread; waits for on_stuck if it is running. Not to be called from on_stuck.
  ~Watchdog();

  // Something was finished: Mark("step", 57), Mark("evaluation batch", 3). what: a literal; it is kept by pointer.
  void Mark(const char* what, int64_t number);

 private:
  void Watch();
  std::string Message() const;

  const std::string who_;
  const int64_t timeout_ns_;
  const std::function<void(const std::string&)> on_stuck_;
  const Clock& clock_;

  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;           // guarded by mutex_
  const char* what_ = nullptr;  // guarded by mutex_; null before the first mark
  int64_t number_ = 0;          // guarded by mutex_
  int64_t marked_at_ns_;        // guarded by mutex_
  std::thread thread_;
};

}  // namespace weir
