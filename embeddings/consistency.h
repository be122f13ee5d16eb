// Consistency: what a pull sees of the pushes before it (docs/consistency.md).
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/job.pb.h"

namespace weir {

// Of one table. At most one of the two differs from its default.
struct Consistency {
  int staleness = 0;   // steps before a pull's that need not be applied when it is answered
  bool async = false;  // none of them need be

  bool synchronous() const { return staleness == 0 && !async; }
  // The step that must be applied before a training pull of `step` may read.
  int64_t NeededStep(int64_t step) const { return async ? 0 : std::max<int64_t>(step - 1 - staleness, 0); }
};

// A table's own mode, or else the cluster's.
inline Consistency ConsistencyOf(const ClusterConfig& cluster, const TableConfig& table) {
  if (table.has_staleness() || table.has_async()) return {table.staleness(), table.async()};
  return {cluster.staleness(), cluster.async()};
}

}  // namespace weir
