// ParallelFor: a loop on the threads that OpenMP gives its caller.
#pragma once

#include <cstdint>
#include <functional>

namespace weir {

// Calls run(begin, end) for parts of [0, n) that together are all of it, side by side, and returns when all are done.
// No part but the only one is smaller than `grain` (>= 1). As many threads as the caller's omp_get_max_threads, which
// LibTorch's set_num_threads sets too; one inside another parallel region. What a part throws, the call throws; the first
// to throw counts.
void ParallelFor(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& run);

}  // namespace weir
