// StepTimes: when steps were run, as far as a time to live in seconds must know.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace weir {

// Steps in a row are remembered under the time of the last of them, 256 groups for the time to live: so a row stays at
// most 1/256 of it longer than it must, never shorter, and memory is bounded. Times come with the steps, from one clock
// for all owners, so that all decide alike; a clock that goes back counts as one that stands still. Not thread-safe.
class StepTimes {
 public:
  // ttl_s > 0: older times than that are forgotten.
  explicit StepTimes(double ttl_s);

  // Steps rise; one that does not is left out.
  void Add(int64_t step, int64_t unix_ms);
  // The last step known to be `ttl` or longer before the last one added; 0 when there is none.
  int64_t LastExpired() const;

  struct Group {
    int64_t last_step = 0;
    int64_t first_ms = 0;
    int64_t last_ms = 0;
  };
  // By step.
  const std::vector<Group>& groups() const { return groups_; }
  // Takes what groups() gave, perhaps with another time to live. DataLoss: out of order.
  Status Load(std::span<const Group> groups);

 private:
  static constexpr int64_t kGroups = 256;

  int64_t ttl_ms_;
  std::vector<Group> groups_;
};

}  // namespace weir
