#include "trainer/in_process_collective.h"

#include <chrono>
#include <limits>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/trainer/collective_cases.h"
#include "tests/trainer/workers.h"
#include "trainer/rank_order_sum.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kLong = 60 * kNanosPerSecond;

TEST(InProcessCollective, DoesWhatACollectiveMust) {
  for (int size = 1; size <= 5; ++size) {
    RunWorkers(size, kLong, [](Collective& workers) {
      Status status = CheckCollective(workers);
      EXPECT_TRUE(status.ok()) << status.ToString();
    });
  }
}

TEST(InProcessCollective, AMemberThatLeavesWakesTheOthers) {
  RunWorkers(3, kLong, [](Collective& workers) {
    if (workers.rank() == 1) return;
    Status status = workers.Barrier();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr("rank"));
    float value = 1;
    EXPECT_FALSE(workers.AllReduceSum(std::span<float>(&value, 1)).ok());
  });
}

TEST(InProcessCollective, AMemberThatDoesNotComeIsNamedAtTheDeadline) {
  std::atomic<bool> gave_up = false;
  RunWorkers(2, 50 * kNanosPerMilli, [&](Collective& workers) {
    if (workers.rank() == 1) {
      while (!gave_up) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      Status status = workers.Barrier();
      EXPECT_EQ(status.code(), StatusCode::kUnavailable);
      EXPECT_THAT(status.message(), HasSubstr("rank 0 gave up waiting for rank 1"));
      return;
    }
    double value = 1;
    Status status = workers.AllReduceSum(std::span<double>(&value, 1));
    EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
    EXPECT_THAT(status.message(), HasSubstr("all-reduce of doubles: rank 1 did not come"));
    gave_up = true;
  });
}

TEST(InProcessCollective, AMemberThatDoesNotComeToAStartedSumIsNamed) {
  std::atomic<bool> gave_up = false;
  RunWorkers(3, 50 * kNanosPerMilli, [&](Collective& workers) {
    std::vector<float> values(10, 1.0f);
    Result<SumTicket> sum = workers.StartAllReduceSum(values);
    ASSERT_TRUE(sum.ok()) << sum.status().ToString();
    if (workers.rank() == 1) {  // started, never finished
      while (!gave_up) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return;
    }
    Status status = workers.FinishSum(*sum);
    EXPECT_THAT(status.message(), HasSubstr("rank 1"));
    EXPECT_THAT(status.message(), HasSubstr("all-reduce of floats"));
    gave_up = true;
  });
}

TEST(InProcessCollective, AMemberThatLeavesBeforeAStartedSumEndsIt) {
  RunWorkers(2, kLong, [&](Collective& workers) {
    std::vector<float> values(10, 1.0f);
    Result<SumTicket> sum = workers.StartAllReduceSum(values);
    ASSERT_TRUE(sum.ok()) << sum.status().ToString();
    if (workers.rank() == 1) return;
    Status status = workers.FinishSum(*sum);
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr("rank 1 has left"));
  });
}

TEST(InProcessCollective, FinishingDifferentSumsIsAnErrorOnAll) {
  RunWorkers(2, kLong, [](Collective& workers) {
    std::vector<float> one(4), two(4);
    const SumTicket first = *workers.StartAllReduceSum(one);
    const SumTicket second = *workers.StartAllReduceSum(two);
    Status status = workers.FinishSum(workers.rank() == 0 ? first : second);
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("different sums"));
  });
}

TEST(InProcessCollective, DifferentSizesAreAnErrorOnAll) {
  RunWorkers(3, kLong, [](Collective& workers) {
    std::vector<float> values(workers.rank() == 2 ? 4 : 5);
    Status status = workers.AllReduceSum(std::span<float>(values));
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("rank 2"));
  });
}

TEST(InProcessCollective, DifferentCallsAreAnErrorOnAll) {
  RunWorkers(2, kLong, [](Collective& workers) {
    float value = 1;
    Status status = workers.rank() == 0 ? workers.Barrier() : workers.AllReduceSum(std::span<float>(&value, 1));
    EXPECT_EQ(status.code(), StatusCode::kInternal);
  });
}

TEST(RankOrderSum, SlicesCoverAllOnce) {
  for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{6}, int64_t{7}, int64_t{8}, int64_t{1} << 40}) {
    for (int size = 1; size <= 9; ++size) {
      EXPECT_EQ(SliceBegin(count, 0, size), 0);
      EXPECT_EQ(SliceBegin(count, size, size), count);
      for (int rank = 0; rank < size; ++rank) {
        const int64_t length = SliceBegin(count, rank + 1, size) - SliceBegin(count, rank, size);
        EXPECT_GE(length, count / size);
        EXPECT_LE(length, count / size + 1);
      }
    }
  }
}

}  // namespace
}  // namespace weir
