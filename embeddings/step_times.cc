#include "embeddings/step_times.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <glog/logging.h>

namespace weir {
namespace {

// Times beyond it, which no clock tells, are taken for it: differences must not overflow.
constexpr int64_t kMsMax = int64_t{1} << 60;

}  // namespace

StepTimes::StepTimes(double ttl_s) : ttl_ms_(static_cast<int64_t>(std::ceil(std::min(ttl_s * 1000, 0x1p60)))) {
  CHECK_GT(ttl_ms_, 0);
}

void StepTimes::Add(int64_t step, int64_t unix_ms) {
  unix_ms = std::clamp<int64_t>(unix_ms, 0, kMsMax);
  if (!groups_.empty()) {
    Group& last = groups_.back();
    if (step <= last.last_step) return;
    unix_ms = std::max(unix_ms, last.last_ms);
    if (unix_ms - last.first_ms < ttl_ms_ / kGroups) {
      last.last_step = step;
      last.last_ms = unix_ms;
      return;
    }
  }
  groups_.push_back({step, unix_ms, unix_ms});
  // The first group that is old enough is all that must be known of what has expired.
  size_t expired = 0;
  while (expired + 1 < groups_.size() && groups_[expired + 1].last_ms <= unix_ms - ttl_ms_) ++expired;
  groups_.erase(groups_.begin(), groups_.begin() + static_cast<std::ptrdiff_t>(expired));
}

int64_t StepTimes::LastExpired() const {
  if (groups_.empty()) return 0;
  const int64_t cut_ms = groups_.back().last_ms - ttl_ms_;
  int64_t step = 0;
  for (const Group& group : groups_) {
    if (group.last_ms > cut_ms) break;
    step = group.last_step;
  }
  return step;
}

Status StepTimes::Load(std::span<const Group> groups) {
  for (size_t i = 0; i < groups.size(); ++i) {
    const bool in_order =
        groups[i].first_ms >= 0 && groups[i].first_ms <= groups[i].last_ms && groups[i].last_ms <= kMsMax &&
        groups[i].last_step > 0 &&
        (i == 0 || (groups[i - 1].last_step < groups[i].last_step && groups[i - 1].last_ms <= groups[i].first_ms));
    if (in_order) continue;
    return DataLoss(fmt::format("times of steps: expected them to rise, found step {} from {} to {} ms as number {}",
                                groups[i].last_step, groups[i].first_ms, groups[i].last_ms, i));
  }
  groups_.assign(groups.begin(), groups.end());
  return Status();
}

}  // namespace weir
