#include "base/parallel_for.h"

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace weir {

void ParallelFor(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& run) {
  if (n <= 0) return;
#ifdef _OPENMP
  const int64_t parts_max = std::min<int64_t>(omp_get_max_threads(), n / grain);
  const int parts = omp_in_parallel() ? 1 : static_cast<int>(parts_max);
  if (parts > 1) {
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (int part = 0; part < parts; ++part) run(n * part / parts, n * (part + 1) / parts);
    return;
  }
#endif
  run(0, n);
}

}  // namespace weir
