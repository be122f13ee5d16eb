#include "trainer/rate_meter.h"

namespace weir {

RateMeter::RateMeter(const Clock& clock) : clock_(clock), resumed_at_ns_(clock.SteadyNanos()) {}

void RateMeter::StepDone(int64_t samples) {
  ++steps_;
  samples_ += samples;
  if (steps_ != kWarmUpSteps) return;
  warm_samples_ = samples_;
  warm_ns_ = ActiveNanos();
}

void RateMeter::Pause() {
  if (paused_) return;
  active_ns_ = ActiveNanos();
  paused_ = true;
}

void RateMeter::Resume() {
  if (!paused_) return;
  paused_ = false;
  resumed_at_ns_ = clock_.SteadyNanos();
}

int64_t RateMeter::ActiveNanos() const {
  if (paused_) return active_ns_;
  return active_ns_ + clock_.SteadyNanos() - resumed_at_ns_;
}

std::optional<double> RateMeter::SamplesPerS() const {
  const bool warm = steps_ > kWarmUpSteps;
  const int64_t samples = samples_ - (warm ? warm_samples_ : 0);
  const int64_t duration_ns = ActiveNanos() - (warm ? warm_ns_ : 0);
  if (duration_ns <= 0) return std::nullopt;
  return static_cast<double>(samples) / (static_cast<double>(duration_ns) / kNanosPerSecond);
}

}  // namespace weir
