// A queue between threads with a bound: producers wait while it is full, consumers while it is empty, either until a
// deadline or until it is closed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

#include <glog/logging.h>

namespace weir {

enum class QueueOutcome { kDone, kTimedOut, kClosed };

// Self-synchronised: any number of producers and consumers.
template <typename T>
class BoundedQueue {
 public:
  // capacity: the most items held, at least 1.
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) { CHECK_GT(capacity, 0u); }

  // Waits up to timeout_ns for room. On kTimedOut and kClosed `item` is left as it was.
  QueueOutcome Push(T& item, int64_t timeout_ns) {
    std::unique_lock lock(mutex_);
    if (!Wait(lock, not_full_, timeout_ns, [&] { return closed_ || items_.size() < capacity_; })) {
      return QueueOutcome::kTimedOut;
    }
    if (closed_) return QueueOutcome::kClosed;
    items_.push_back(std::move(item));
    not_empty_.notify_one();
    return QueueOutcome::kDone;
  }

  // Waits up to timeout_ns for an item. After Close() the items still held are given out first, then kClosed.
  QueueOutcome Pop(T* item, int64_t timeout_ns) {
    std::unique_lock lock(mutex_);
    if (!Wait(lock, not_empty_, timeout_ns, [&] { return closed_ || !items_.empty(); })) {
      return QueueOutcome::kTimedOut;
    }
    if (items_.empty()) return QueueOutcome::kClosed;
    *item = std::move(items_.front());
    items_.pop_front();
    not_full_.notify_one();
    return QueueOutcome::kDone;
  }

  // No more pushes; wakes everyone who waits.
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    not_full_.notify_all();
    not_empty_.notify_all();
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  template <typename Ready>
  static bool Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, int64_t timeout_ns,
                   Ready ready) {
    return changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), ready);
  }

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::deque<T> items_;   // guarded by mutex_
  bool closed_ = false;   // guarded by mutex_
};

}  // namespace weir
