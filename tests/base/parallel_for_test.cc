#include "base/parallel_for.h"

#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(ParallelForTest, RunsEachIndexOnceInPartsOfAtLeastTheGrain) {
  for (int64_t n : {0, 1, 2, 3, 7, 100, 1001}) {
    for (int64_t grain : {1, 2, 8, 1000}) {
      std::vector<int> runs(n);  // threads write to different ones
      std::atomic<int> parts = 0, small_parts = 0;
      ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
        ++parts;
        if (end - begin < grain) ++small_parts;
        for (int64_t i = begin; i < end; ++i) ++runs[i];
      });
      EXPECT_THAT(runs, testing::Each(1)) << n << " by " << grain;
      EXPECT_LE(small_parts, parts > 1 ? 0 : 1) << n << " by " << grain;
    }
  }
}

TEST(ParallelForTest, ThrowsWhatAPartThrows) {
  EXPECT_THROW(ParallelFor(100, 1, [](int64_t, int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
  EXPECT_THROW(ParallelFor(1, 1, [](int64_t, int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
}

#ifdef _OPENMP
TEST(ParallelForTest, UsesTheThreadsOfItsCaller) {
  const auto threads_used = [](int threads) {
    omp_set_num_threads(threads);
    std::mutex mutex;
    std::set<std::thread::id> used;
    ParallelFor(100, 1, [&](int64_t, int64_t) {
      const std::lock_guard lock(mutex);
      used.insert(std::this_thread::get_id());
    });
    return used.size();
  };
  std::thread caller([&] {
    EXPECT_EQ(threads_used(3), 3);
    EXPECT_EQ(threads_used(1), 1);
  });
  caller.join();
}

TEST(ParallelForTest, RunsOnOneThreadInsideItself) {
  omp_set_num_threads(2);
  std::atomic<int> inner_parts = 0;
  ParallelFor(2, 1, [&](int64_t, int64_t) { ParallelFor(100, 1, [&](int64_t, int64_t) { ++inner_parts; }); });
  EXPECT_EQ(inner_parts, 2);
}
#endif

}  // namespace
}  // namespace weir
