#include "embeddings/schedule.h"

#include <algorithm>

#include "embeddings/portable_math.h"

namespace weir {
namespace {

// The exponential decay ends here where end_factor is 0, which it would never reach.
constexpr double kSmallestExponentialEnd = 1e-6;

double DecayFactor(const ScheduleConfig& schedule, int64_t steps_after_warmup) {
  if (schedule.decay() == ScheduleConfig::NONE) return 1;
  const double end = schedule.end_factor();
  if (steps_after_warmup >= schedule.decay_steps()) return end;
  const double progress = static_cast<double>(steps_after_warmup) / static_cast<double>(schedule.decay_steps());
  switch (schedule.decay()) {
    case ScheduleConfig::NONE:
      return 1;
    case ScheduleConfig::LINEAR:
      return 1 + (end - 1) * progress;
    case ScheduleConfig::COSINE:
      return end + (1 - end) * 0.5 * (1 + PortableCosPi(progress));
    case ScheduleConfig::EXPONENTIAL:
      return PortableExp(progress * PortableLog(std::max(end, kSmallestExponentialEnd)));
  }
  return 1;
}

}  // namespace

double LearningRate(const OptimizerConfig& config, int64_t step) {
  const ScheduleConfig& schedule = config.schedule();
  if (step < schedule.warmup_steps()) {
    return config.learning_rate() * (static_cast<double>(step) / static_cast<double>(schedule.warmup_steps()));
  }
  return config.learning_rate() * DecayFactor(schedule, step - schedule.warmup_steps());
}

}  // namespace weir
