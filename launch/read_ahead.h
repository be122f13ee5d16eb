// ReadAhead: one thread makes things while another uses them.
#pragma once

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/status.h"
#include "launch/stop_signal.h"

namespace weir {

// Calls next() on a thread of its own, a few results ahead, until it gives nothing, and visit() with each result, in
// order, on the caller's. Returns the first error of either; Aborted when a signal asked to stop. Both have ended then.
template <typename T>
Status ReadAhead(const std::function<Result<std::optional<T>>()>& next, const std::function<Status(T)>& visit) {
  constexpr size_t kAhead = 4;
  // How long a thread waits before it looks again; no deadline: the other one is of this process and ends the wait.
  constexpr int64_t kLookNs = kNanosPerSecond / 5;
  using Item = std::optional<Result<std::optional<T>>>;
  BoundedQueue<Item> queue(kAhead);
  std::thread maker([&] {
    for (bool more = true; more;) {
      Item item(next());
      more = item->ok() && item->value().has_value();
      QueueOutcome outcome = QueueOutcome::kTimedOut;
      while (outcome == QueueOutcome::kTimedOut) outcome = queue.Push(item, kLookNs);
      if (outcome == QueueOutcome::kClosed) return;
    }
  });
  const Status status = [&] {
    while (true) {
      if (StopAsked()) return Aborted("stopped by a signal");
      Item item;
      if (queue.Pop(&item, kLookNs) != QueueOutcome::kDone) continue;
      if (!item->ok()) return item->status();
      if (!item->value().has_value()) return Status();
      WEIR_RETURN_IF_ERROR(visit(*std::move(*item).value()));
    }
  }();
  queue.Close();
  maker.join();
  return status;
}

}  // namespace weir
