#include "base/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace weir {

void ParallelFor(int64_t n, [[maybe_unused]] int64_t grain,
                 const std::function<void(int64_t begin, int64_t end)>& run) {
  if (n <= 0) return;
#ifdef _OPENMP
  const int64_t parts_max = std::min<int64_t>(omp_get_max_threads(), n / grain);
  const int parts = omp_in_parallel() ? 1 : static_cast<int>(parts_max);
  if (parts > 1) {
    std::exception_ptr exception;
    std::atomic_flag thrown;
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (int part = 0; part < parts; ++part) {
      // An exception must not leave the region.
      try {
        run(n * part / parts, n * (part + 1) / parts);
      } catch (...) {
        if (!thrown.test_and_set()) exception = std::current_exception();
      }
    }
    if (exception) std::rethrow_exception(exception);
    return;
  }
#endif
  run(0, n);
}

}  // namespace weir
