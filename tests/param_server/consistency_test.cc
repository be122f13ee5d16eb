// What pulls see and how pushes are applied when servers are not synchronous (docs/consistency.md).
#include <atomic>
#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

class ConsistencyTest : public ::testing::Test {
 protected:
  std::unique_ptr<Cluster> MakeCluster(int num_servers, int num_workers, Consistency consistency,
                                       std::vector<TableSpec> tables = SumTable()) {
    return std::make_unique<Cluster>(num_servers, num_workers, &files_, 10, /*tcp_only=*/false, std::move(tables),
                                     consistency);
  }
  static Status Push(RemoteStore* store, int64_t step, uint64_t key, float gradient) {
    const TablePush push = {0, std::span(&key, 1), &gradient};
    return store->Push(step, std::span(&push, 1));
  }
  static float Weight(RemoteStore* store, int64_t step, uint64_t key) {
    float row = 1e9;
    const TablePull pull = {0, std::span(&key, 1), &row};
    const Status status = store->Pull(step, PullKind::kTraining, std::span(&pull, 1));
    EXPECT_TRUE(status.ok()) << status.ToString();
    return row;
  }
  MemoryRowFiles files_;
};

TEST_F(ConsistencyTest, StalenessBoundsWhatAPullMayMiss) {
  auto cluster = MakeCluster(1, 2, {.staleness = 2});
  auto fast = cluster->Connect(0), slow = cluster->Connect(1);
  ASSERT_TRUE(fast && slow);
  // Three steps without a push of the other; its own pushes are there as soon as they came.
  for (int64_t step = 1; step <= 3; ++step) {
    EXPECT_EQ(Weight(fast.get(), step, 7), static_cast<float>(1 - step)) << step;
    ASSERT_TRUE(Push(fast.get(), step, 7, 1).ok());
  }
  // The fourth needs step 1 of all.
  std::atomic<bool> answered = false;
  float weight = 0;
  std::thread fourth([&] {
    weight = Weight(fast.get(), 4, 7);
    answered = true;
  });
  SystemClock().SleepNanos(100 * kNanosPerMilli);
  EXPECT_FALSE(answered);
  ASSERT_TRUE(Push(slow.get(), 1, 7, 10).ok());
  fourth.join();
  EXPECT_EQ(weight, -13);
  // Rows by steps not seen: 0, 1 and 2 of the first three pulls, 2 of the fourth.
  const StoreStats stats = *fast->Stats();
  ASSERT_GE(stats.rows_by_staleness.size(), 3u);
  EXPECT_EQ(std::vector<int64_t>(stats.rows_by_staleness.begin(), stats.rows_by_staleness.begin() + 3),
            (std::vector<int64_t>{1, 1, 2}));
}

TEST_F(ConsistencyTest, AsyncNeverWaitsForAnotherWorkersRows) {
  auto cluster = MakeCluster(1, 2, {.async = true});
  auto fast = cluster->Connect(0), slow = cluster->Connect(1);
  ASSERT_TRUE(fast && slow);
  for (int64_t step = 1; step <= kStepsAheadMax; ++step) {
    EXPECT_EQ(Weight(fast.get(), step, 7), static_cast<float>(1 - step)) << step;
    ASSERT_TRUE(Push(fast.get(), step, 7, 1).ok());
  }
  EXPECT_EQ(Weight(fast.get(), kStepsAheadMax + 1, 7), -16) << "the last push is in, too";
  EXPECT_EQ(Weight(slow.get(), 1, 7), -16);
}

// AdaGrad: two pushes of gradient g are two rules with g, not one with 2 g.
TEST_F(ConsistencyTest, TheRuleRunsOncePerPush) {
  std::vector<TableSpec> tables = SumTable();
  tables[0].optimizer.mutable_adagrad()->set_eps(0);
  tables[0].layout = MakeRowLayout(1, tables[0].optimizer);
  for (const Consistency consistency : {Consistency{}, Consistency{.staleness = 1}, Consistency{.async = true}}) {
    auto cluster = MakeCluster(1, 2, consistency, tables);
    auto first = cluster->Connect(0), second = cluster->Connect(1);
    ASSERT_TRUE(first && second);
    ASSERT_TRUE(Push(first.get(), 1, 7, 3).ok());
    ASSERT_TRUE(Push(second.get(), 1, 7, 3).ok());
    ASSERT_TRUE(first->Drain(1).ok());
    const float expected = consistency.synchronous() ? -1.0f : -1.0f - 3.0f / std::sqrt(18.0f);
    EXPECT_FLOAT_EQ(Weight(first.get(), 2, 7), expected);
  }
}

// Whatever the interleaving, each gradient is in the rows exactly once after a drain.
TEST_F(ConsistencyTest, EveryPushIsAppliedOnceInEveryMode) {
  constexpr int kWorkers = 3, kKeys = 50;
  constexpr int64_t kLast = 60;
  for (const Consistency consistency :
       {Consistency{}, Consistency{.staleness = 1}, Consistency{.staleness = 8}, Consistency{.async = true}}) {
    for (const int num_servers : {0, 1, 2}) {
      SCOPED_TRACE(
          fmt::format("staleness {} async {} servers {}", consistency.staleness, consistency.async, num_servers));
      auto cluster = MakeCluster(num_servers, kWorkers, consistency);
      auto stores = RunWorkers(*cluster, kWorkers, [&](int w, RemoteStore* store) {
        std::vector<uint64_t> keys;
        for (int k = 0; k < kKeys; ++k) keys.push_back(k * 0x9e3779b97f4a7c15ULL);
        std::vector<float> rows(kKeys), gradients(kKeys);
        const TablePull pull = {0, keys, rows.data()};
        const TablePush push = {0, keys, gradients.data()};
        for (int64_t step = 1; step <= kLast; ++step) {
          ASSERT_TRUE(store->Pull(step, PullKind::kTraining, std::span(&pull, 1)).ok());
          for (int k = 0; k < kKeys; ++k) gradients[k] = static_cast<float>((step + w * 5 + k) % 7 - 3);
          ASSERT_TRUE(store->Push(step, std::span(&push, 1)).ok());
        }
        EXPECT_TRUE(store->Drain(kLast).ok());
      });
      ASSERT_TRUE(stores[0]->Save(kLast, "end").ok());
      const SavedRows rows = files_.Rows("end");
      ASSERT_EQ(rows.size(), size_t{kKeys});
      for (int k = 0; k < kKeys; ++k) {
        float sum = 0;
        for (int64_t step = 1; step <= kLast; ++step) {
          for (int w = 0; w < kWorkers; ++w) sum += static_cast<float>((step + w * 5 + k) % 7 - 3);
        }
        const SavedRow& row = rows.at({"sum", k * 0x9e3779b97f4a7c15ULL});
        EXPECT_EQ(row.values[0], -sum) << k;
        EXPECT_EQ(row.count, uint64_t{kWorkers} * kLast);
        EXPECT_EQ(row.last_step, kLast);
      }
      int64_t pulled = 0;
      const StoreStats stats = *stores[0]->Stats();
      for (const int64_t of_staleness : stats.rows_by_staleness) pulled += of_staleness;
      EXPECT_EQ(pulled, int64_t{kWorkers} * kLast * kKeys);
      if (consistency.synchronous()) {
        EXPECT_EQ(stats.rows_by_staleness[0], pulled);
      }
      if (!consistency.async) {
        for (size_t steps = consistency.staleness + 1; steps < stats.rows_by_staleness.size(); ++steps) {
          EXPECT_EQ(stats.rows_by_staleness[steps], 0) << steps;
        }
      }
      EXPECT_TRUE(stores[0]->Shutdown().ok());
    }
  }
}

}  // namespace
}  // namespace weir::testing
