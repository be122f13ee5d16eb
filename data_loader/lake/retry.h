// Retries: what failed for a reason that may pass is tried again, at growing intervals, for a bounded time.
//
// Nobody else retries: the clients of S3, GCS and HTTP are told to try once, so that there is one bound and one log
// line per retry.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/io/type_fwd.h>

#include "base/clock.h"
#include "base/status.h"
#include "data_loader/lake/storage.h"

namespace weir {

struct RetryPolicy {
  int64_t retry_ns = 60 * kNanosPerSecond;  // from the first failure of a call on; 0 tries once
  int64_t first_wait_ns = 100 * kNanosPerMilli;
  int64_t wait_ns_max = 10 * kNanosPerSecond;
  const Clock* clock = &SystemClock();
};

// Whether trying again may help: Unavailable and DeadlineExceeded.
bool MayPass(const Status& error);

// The attempts of one call. One thread.
class Attempts {
 public:
  // what: for the log, "reading bytes 0 to 99".
  Attempts(const RetryPolicy& policy, std::string what) : policy_(policy), what_(std::move(what)) {}

  // After an attempt that failed with *error. True, after a wait and a warning in the log, when it is to be tried
  // again: the wait doubles from try to try and is drawn from its upper half, so that workers do not come back in step.
  // False when it is not; *error then says how often it was tried.
  bool Again(Status* error);

 private:
  const RetryPolicy& policy_;
  const std::string what_;
  int64_t failures_ = 0;
  int64_t deadline_ns_ = 0;  // steady; from the first failure on
};

// A storage whose calls, and the reads of the files it opens, are tried again. A read that ends before the file does
// counts as a failure that may pass.
std::shared_ptr<const Storage> WithRetries(std::shared_ptr<const Storage> storage, const RetryPolicy& policy);

}  // namespace weir
