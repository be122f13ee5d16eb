// Consistency: what a pull sees of the pushes before it (docs/consistency.md).
#pragma once

namespace weir {

// At most one of the two differs from its default.
struct Consistency {
  int staleness = 0;   // steps before a pull's that need not be applied when it is answered
  bool async = false;  // none of them need be

  bool synchronous() const { return staleness == 0 && !async; }
};

}  // namespace weir
