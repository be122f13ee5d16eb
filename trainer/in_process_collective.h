// A Collective between threads of one process: for several workers in one test, and for a run without MPI (size 1).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "trainer/collective.h"

namespace weir {

// One member per rank, each for a thread of its own; any may outlive the others. Sums are added in rank order, as over
// MPI: the same bits. A member that is destroyed, or that gives up after timeout_ns, wakes the others, who then get
// Unavailable with its rank. Members must make the same calls with the same sizes: others are Internal errors. A sum
// that was started is added when it is finished: there is no wire for it to be on before.
std::vector<std::unique_ptr<Collective>> MakeInProcessCollectives(int size, int64_t timeout_ns);

}  // namespace weir
