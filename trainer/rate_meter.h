// RateMeter: samples_per_s as it is reported: from the end of the 20th step of this run to the moment the last step's
// pushes are applied, without the intervals in which it was paused (evaluation, checkpoint).
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace weir {

// One thread.
class RateMeter {
 public:
  static constexpr int64_t kWarmUpSteps = 20;

  // Runs from now. clock must outlive it.
  explicit RateMeter(const Clock& clock = SystemClock());

  // A step is done; samples: over all workers.
  void StepDone(int64_t samples);
  // The time until Resume does not count. Neither nests; a second Pause or Resume does nothing.
  void Pause();
  void Resume();

  // Up to now, or up to Pause while paused: pause it when the last step's pushes are applied. With no step after the
  // warm-up, from the start; absent when no time has passed.
  std::optional<double> SamplesPerS() const;
  int64_t samples() const { return samples_; }
  int64_t steps() const { return steps_; }

 private:
  int64_t ActiveNanos() const;

  const Clock& clock_;
  int64_t resumed_at_ns_;
  int64_t active_ns_ = 0;  // before resumed_at_ns_
  bool paused_ = false;
  int64_t steps_ = 0;
  int64_t samples_ = 0;
  int64_t warm_samples_ = 0;  // at the end of the warm-up
  int64_t warm_ns_ = 0;
};

}  // namespace weir
