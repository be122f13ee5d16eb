#include "param_server/client/hot_rows.h"

#include <cmath>
#include <map>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

using ::testing::ElementsAre;

// One table of dim 1 that is pulled by whole lists of keys; rows are what the test says.
class Pulled {
 public:
  Pulled(bool synchronous, const HotRowsOptions& options) : table_(1, synchronous, options) {}

  // The row of each key is `value`, where it is asked for. Returns the rows as the pull sees them.
  std::vector<float> Pull(int64_t step, PullKind kind, uint64_t round, std::vector<uint64_t> keys, float value) {
    std::vector<float> rows(keys.size());
    order_.resize(keys.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::vector<uint32_t> wanted;
    table_.BeginPull(keys.size());
    found_ = table_.Find(step, kind, round, keys, order_, rows.data(), &wanted);
    for (size_t i = 0; i + found_ < order_.size(); ++i) rows[order_[i]] = value;
    for (const uint32_t position : wanted) table_.Keep(step, kind, round, keys[position], &rows[position]);
    return rows;
  }
  HotTable& table() { return table_; }
  size_t found() const { return found_; }
  const std::vector<uint32_t>& order() const { return order_; }

 private:
  HotTable table_;
  std::vector<uint32_t> order_;
  size_t found_ = 0;
};

constexpr PullKind kTrain = PullKind::kTraining, kEvaluate = PullKind::kEvaluation;

TEST(HotTableTest, KeysOfHalfThePullsOfAWindowAreHotInTheNext) {
  Pulled pulled(false, {.rows_max = 10, .age_steps = 9, .window_pulls = 4});
  // 1 comes in all, 2 in two, 0 in two, 3 in one; 4 comes in three, but not in the first.
  pulled.Pull(1, kTrain, 1, {1, 2, 3, 0}, 1);
  pulled.Pull(2, kTrain, 1, {1, 4}, 1);
  pulled.Pull(3, kTrain, 1, {4, 1, 2}, 1);
  pulled.Pull(4, kTrain, 1, {0, 1, 4}, 1);
  EXPECT_EQ(pulled.table().num_hot(), 0u);
  EXPECT_THAT(pulled.Pull(5, kTrain, 1, {0, 1, 2, 3, 4}, 5), ElementsAre(5, 5, 5, 5, 5));
  EXPECT_EQ(pulled.table().num_hot(), 3u);
  EXPECT_THAT(pulled.Pull(6, kTrain, 1, {4, 0, 3, 1, 2}, 6), ElementsAre(6, 5, 6, 5, 5));
  EXPECT_EQ(pulled.found(), 3u);
  EXPECT_THAT(pulled.order(), ElementsAre(0, 2, 1, 3, 4)) << "both parts in their order";
}

TEST(HotTableTest, TheMostFrequentAreKeptAndTiesGoByKey) {
  Pulled pulled(false, {.rows_max = 2, .age_steps = 9, .window_pulls = 2});
  pulled.Pull(1, kTrain, 1, {9, 3, 5, 7}, 1);
  pulled.Pull(2, kTrain, 1, {9, 7, 5}, 1);
  pulled.Pull(3, kTrain, 1, {9, 3, 5, 7}, 3);
  EXPECT_THAT(pulled.Pull(4, kTrain, 1, {9, 5, 7}, 4), ElementsAre(4, 3, 3));
  // A window that both are in keeps their copies; one without them ends them.
  EXPECT_THAT(pulled.Pull(5, kTrain, 1, {5, 7}, 5), ElementsAre(3, 3));
  pulled.Pull(6, kTrain, 1, {5}, 6);
  EXPECT_EQ(pulled.table().num_hot(), 2u);
  pulled.Pull(7, kTrain, 1, {1}, 7);
  pulled.Pull(8, kTrain, 1, {1}, 8);
  EXPECT_THAT(pulled.Pull(9, kTrain, 1, {5, 7, 1}, 9), ElementsAre(9, 9, 9));
  EXPECT_EQ(pulled.table().num_hot(), 1u);
}

TEST(HotTableTest, ACopyStandsForItsAgeInTrainingAndForItsRoundInEvaluation) {
  Pulled pulled(false, {.rows_max = 4, .age_steps = 3, .window_pulls = 1});
  pulled.Pull(1, kTrain, 1, {8}, 1);
  pulled.Pull(2, kTrain, 1, {8}, 2);
  for (int64_t step = 3; step <= 5; ++step) EXPECT_THAT(pulled.Pull(step, kTrain, 1, {8}, 9), ElementsAre(2)) << step;
  EXPECT_THAT(pulled.Pull(6, kTrain, 1, {8}, 6), ElementsAre(6));
  EXPECT_THAT(pulled.Pull(7, kEvaluate, 1, {8}, 7), ElementsAre(7)) << "training's copy is not for evaluation";
  EXPECT_THAT(pulled.Pull(7, kEvaluate, 1, {8}, 8), ElementsAre(7));
  EXPECT_THAT(pulled.Pull(7, kEvaluate, 2, {8}, 8), ElementsAre(8)) << "another round";
  EXPECT_THAT(pulled.Pull(8, kEvaluate, 2, {8}, 9), ElementsAre(9)) << "another step";
  EXPECT_THAT(pulled.Pull(8, kTrain, 2, {8}, 10), ElementsAre(10)) << "evaluation's copy is not for training";
  pulled.table().Forget();
  EXPECT_THAT(pulled.Pull(8, kTrain, 2, {8}, 11), ElementsAre(11));
}

TEST(HotTableTest, TrainingOfASynchronousTableReadsNoCopy) {
  Pulled pulled(true, {.rows_max = 4, .age_steps = 3, .window_pulls = 1});
  for (int64_t step = 1; step <= 5; ++step) {
    const auto value = static_cast<float>(step);
    EXPECT_THAT(pulled.Pull(step, kTrain, 1, {8}, value), ElementsAre(value));
  }
  pulled.Pull(6, kEvaluate, 1, {8}, 6);
  EXPECT_THAT(pulled.Pull(6, kEvaluate, 1, {8}, 7), ElementsAre(6));
  EXPECT_THAT(pulled.Pull(6, kTrain, 1, {8}, 8), ElementsAre(8));
}

// Pulls overlap: an older one ends after a newer one. What they bring late, when the key is not hot any more, is
// dropped.
TEST(HotTableTest, AnOlderRowDoesNotReplaceANewer) {
  HotTable table(1, false, {.rows_max = 4, .age_steps = 3, .window_pulls = 1});
  const uint64_t key[] = {8};
  const auto find = [&](int64_t step) {
    std::vector<uint32_t> order = {0}, wanted;
    float row = 0;
    table.BeginPull(1);
    return table.Find(step, kTrain, 1, key, order, &row, &wanted) == 1 ? row : -1;
  };
  const float newer = 2, older = 1;
  EXPECT_EQ(find(1), -1);
  EXPECT_EQ(find(2), -1);
  EXPECT_EQ(find(3), -1);
  table.Keep(3, kTrain, 1, 8, &newer);
  table.Keep(2, kTrain, 1, 8, &older);
  table.Keep(2, kTrain, 1, 77, &older);
  EXPECT_EQ(find(4), newer);
}

// Ranks from 1 to `keys` with a share of about 1 / rank, as keys of whole batches.
std::vector<uint64_t> ZipfKeys(uint64_t seed, int64_t step, int samples, double keys) {
  std::map<uint64_t, bool> seen;
  std::vector<uint64_t> distinct;
  for (int i = 0; i < samples; ++i) {
    const double unit = UnitFloat(RandomBits(seed, RandomPurpose::kSampling, step, i));
    const uint64_t key = static_cast<uint64_t>(std::pow(keys, unit)) * 0x9e3779b97f4a7c15ULL;
    if (seen.emplace(key, true).second) distinct.push_back(key);
  }
  return distinct;
}

struct Outcome {
  std::vector<std::vector<float>> evaluated;  // by worker: all rows that its evaluations read
  SavedRows rows;
  int64_t evaluation_bytes = 0;  // received
  int64_t from_cache = 0;
};

struct Training {
  int num_servers = 1;
  bool look_ahead = true;
  WireConfig::Type wire = WireConfig::FLOAT32;
  int hot_rows = 0;
  Consistency consistency{};
};

constexpr int kWorkers = 2, kAhead = 2, kEvaluations = 8;
// Keys are found in the 32 pulls before the first evaluation.
constexpr int64_t kSteps = 66, kEvaluateEvery = 33;

// Eight batches after each 33 steps, while pulls of the next steps are under way, as the trainer does it.
void Evaluate(RemoteStore* store, int64_t step, int worker, std::span<const TableSpec> tables, Outcome* outcome) {
  ASSERT_TRUE(store->Drain(step).ok());
  const int64_t before = store->Stats()->bytes_received;
  for (int batch = 0; batch < kEvaluations; ++batch) {
    const std::vector<uint64_t> keys = ZipfKeys(99, step * 100 + batch * 10 + worker, 1600, 1000);
    std::vector<std::vector<float>> rows(tables.size());
    std::vector<TablePull> pulls;
    for (size_t t = 0; t < tables.size(); ++t) {
      rows[t].resize(keys.size() * tables[t].layout.dim);
      pulls.push_back({static_cast<int>(t), keys, rows[t].data()});
    }
    const Status pulled = store->Pull(step + 1, PullKind::kEvaluation, pulls);
    ASSERT_TRUE(pulled.ok()) << pulled.ToString();
    std::vector<float>& all = outcome->evaluated[worker];
    for (const auto& of_table : rows) all.insert(all.end(), of_table.begin(), of_table.end());
  }
  if (worker == 0) outcome->evaluation_bytes += store->Stats()->bytes_received - before;
}

struct Step {
  std::vector<uint64_t> keys;
  std::vector<std::vector<float>> rows;
  PullTicket ticket = 0;
};

void TrainOne(RemoteStore* store, int worker, std::span<const TableSpec> tables, Outcome* outcome) {
  std::map<int64_t, Step> under_way;
  for (int64_t step = 1, next = 1; step <= kSteps; ++step) {
    for (; next <= std::min(step + kAhead, kSteps); ++next) {
      Step& ahead = under_way[next];
      ahead.keys = ZipfKeys(5, next * 10 + worker, 1600, 1000);
      ahead.rows.resize(tables.size());
      std::vector<TablePull> pulls;
      for (size_t t = 0; t < tables.size(); ++t) {
        ahead.rows[t].resize(ahead.keys.size() * tables[t].layout.dim);
        pulls.push_back({static_cast<int>(t), ahead.keys, ahead.rows[t].data()});
      }
      const auto ticket = store->StartPull(next, PullKind::kTraining, pulls);
      ASSERT_TRUE(ticket.ok()) << ticket.status().ToString();
      ahead.ticket = *ticket;
    }
    Step& now = under_way[step];
    const Status pulled = store->FinishPull(now.ticket);
    ASSERT_TRUE(pulled.ok()) << pulled.ToString();
    // Gradients that depend on the rows, so that a wrong row does not stay unseen.
    std::vector<TablePush> pushes;
    for (size_t t = 0; t < tables.size(); ++t) {
      for (size_t i = 0; i < now.rows[t].size(); ++i) now.rows[t][i] += static_cast<float>(i % 7) / 8 - 0.375f;
      pushes.push_back({static_cast<int>(t), now.keys, now.rows[t].data()});
    }
    const Status pushed = store->Push(step, pushes);
    ASSERT_TRUE(pushed.ok()) << pushed.ToString();
    under_way.erase(step);
    if (step % kEvaluateEvery == 0) Evaluate(store, step, worker, tables, outcome);
  }
}

Outcome Train(const Training& training) {
  MemoryRowFiles files;
  std::vector<TableSpec> tables = TestTables();
  for (TableSpec& table : tables) {
    table.wire.set_pull(training.wire);
    table.consistency = training.consistency;
  }
  Cluster cluster(training.num_servers, kWorkers, &files, 20, /*tcp_only=*/false, tables, training.consistency,
                  training.look_ahead, nullptr, {.rows_max = training.hot_rows});
  Outcome outcome;
  outcome.evaluated.resize(kWorkers);
  auto stores =
      RunWorkers(cluster, kWorkers, [&](int worker, RemoteStore* store) { TrainOne(store, worker, tables, &outcome); });
  if (::testing::Test::HasFailure()) return outcome;
  for (const auto& store : stores) outcome.from_cache += store->Stats()->keys_from_cache;
  EXPECT_TRUE(stores[0]->Save(kSteps, "end").ok());
  EXPECT_TRUE(stores[0]->Shutdown().ok());
  outcome.rows = files.Rows("end");
  return outcome;
}

class HotRowsBitsTest : public ::testing::TestWithParam<int> {};

// Zipf keys: in each evaluation the rows of hot keys come once.
TEST_P(HotRowsBitsTest, SynchronousTrainingAndEvaluationAreThoseWithoutCopiesAndEvaluationReceivesLess) {
  for (const WireConfig::Type wire : {WireConfig::FLOAT32, WireConfig::BFLOAT16}) {
    const Outcome without = Train({.num_servers = GetParam(), .wire = wire});
    EXPECT_EQ(without.from_cache, 0);
    for (const bool look_ahead : {true, false}) {
      const Outcome with = Train({.num_servers = GetParam(), .look_ahead = look_ahead, .wire = wire, .hot_rows = 500});
      ASSERT_FALSE(HasFailure());
      EXPECT_TRUE(with.rows == without.rows);
      EXPECT_TRUE(with.evaluated == without.evaluated);
      ASSERT_GT(without.evaluated[0].size(), 1000u);
      EXPECT_GT(with.from_cache, 0);
      std::cout << with.evaluation_bytes << " of " << without.evaluation_bytes << " bytes\n";
      EXPECT_LT(3 * with.evaluation_bytes, 2 * without.evaluation_bytes) << "a third less at least";
    }
  }
}

// 0: a server beside each worker, whose rows do not travel and are not kept.
INSTANTIATE_TEST_SUITE_P(Servers, HotRowsBitsTest, ::testing::Values(1, 3, 0));

// Alone, a worker sees exactly the steps before the one with which its copy came.
TEST(HotRowsAgeTest, ACopyIsReadForItsAgeAndThenAskedForAgain) {
  Cluster cluster(1, 1, nullptr, 10, /*tcp_only=*/false, SumTable(), {.async = true}, true, nullptr,
                  {.rows_max = 4, .age_steps = 3, .window_pulls = 4});
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  const uint64_t key = 7;
  const float gradient = -1;
  float row = 0;
  const TablePull pull = {0, {&key, 1}, &row};
  const TablePush push = {0, {&key, 1}, &gradient};
  std::vector<float> seen;
  for (int64_t step = 1; step <= 14; ++step) {
    ASSERT_TRUE(store->Pull(step, PullKind::kTraining, {&pull, 1}).ok());
    seen.push_back(row);
    ASSERT_TRUE(store->Push(step, {&push, 1}).ok());
  }
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12));
  EXPECT_EQ(store->Stats()->keys_from_cache, 7);
  ASSERT_TRUE(store->Drain(14).ok());
  ASSERT_TRUE(store->Pull(15, PullKind::kEvaluation, {&pull, 1}).ok());
  EXPECT_EQ(row, 14) << "evaluation sees every push";
  EXPECT_TRUE(store->Shutdown().ok());
}

constexpr int kKeys = 40, kSummers = 3;
// An age beyond the pulls under way, or no copy comes in time.
constexpr int64_t kSumSteps = 80, kAge = 5;
constexpr HotRowsOptions kSumHot = {.rows_max = 30, .age_steps = kAge, .window_pulls = 4};

// Each key's row counts the pushes times (key + 1), so that a gradient that went to another key shows. The least that a
// pull may see was pushed `unseen` steps before.
void SumUp(RemoteStore* store, int64_t unseen, int64_t ahead_max, int seen_workers) {
  std::vector<uint64_t> keys;
  std::vector<float> gradients;
  for (int k = 0; k < kKeys; ++k) {
    keys.push_back(k * 0x9e3779b97f4a7c15ULL);
    gradients.push_back(static_cast<float>(-k - 1));
  }
  const TablePush push = {0, keys, gradients.data()};
  std::map<int64_t, std::pair<std::vector<float>, PullTicket>> under_way;
  for (int64_t step = 1, next = 1; step <= kSumSteps; ++step) {
    for (; next <= std::min(step + ahead_max, kSumSteps); ++next) {
      auto& [rows, ticket] = under_way[next];
      rows.resize(kKeys);
      const TablePull pull = {0, keys, rows.data()};
      const auto started = store->StartPull(next, PullKind::kTraining, {&pull, 1});
      ASSERT_TRUE(started.ok()) << started.status().ToString();
      ticket = *started;
    }
    const auto& [rows, ticket] = under_way[step];
    ASSERT_TRUE(store->FinishPull(ticket).ok());
    for (int k = 0; k < kKeys; ++k) {
      const float pushes = rows[k] / static_cast<float>(k + 1);
      ASSERT_GE(pushes, static_cast<float>(seen_workers * (step - 1 - unseen - kAge))) << step << " " << k;
      ASSERT_EQ(pushes, std::floor(pushes));
    }
    ASSERT_TRUE(store->Push(step, {&push, 1}).ok());
    under_way.erase(step);
  }
  ASSERT_TRUE(store->Drain(kSumSteps).ok());
  std::vector<float> rows(kKeys);
  const TablePull pull = {0, keys, rows.data()};
  for (int batch = 0; batch < 4; ++batch) {
    ASSERT_TRUE(store->Pull(kSumSteps + 1, PullKind::kEvaluation, {&pull, 1}).ok());
    for (int k = 0; k < kKeys; ++k) ASSERT_EQ(rows[k], kSummers * kSumSteps * (k + 1));
  }
}

TEST(HotRowsAgeTest, NoRowIsOlderThanStalenessAndAgeAndEachPushIsAppliedOnce) {
  for (const Consistency consistency :
       {Consistency{.staleness = 1}, Consistency{.staleness = 3}, Consistency{.async = true}}) {
    for (const int num_servers : {0, 1, 3}) {
      SCOPED_TRACE(::testing::Message() << consistency.staleness << " with " << num_servers << " servers");
      MemoryRowFiles files;
      Cluster cluster(num_servers, kSummers, &files, 10, /*tcp_only=*/false, SumTable(), consistency, true, nullptr,
                      kSumHot);
      const int ahead = consistency.async ? 1 : consistency.staleness;
      auto stores = RunWorkers(cluster, kSummers, [&](int, RemoteStore* store) {
        // With async others need not be seen, but a worker's own pushes come before its pulls.
        SumUp(store, ahead, ahead, consistency.async ? 1 : kSummers);
      });
      ASSERT_FALSE(HasFailure());
      const auto stats = stores[0]->Stats();
      int64_t from_servers =
          std::accumulate(stats->rows_by_staleness.begin(), stats->rows_by_staleness.end(), int64_t{0});
      int64_t from_cache = 0;
      for (const auto& store : stores) from_cache += store->Stats()->keys_from_cache;
      // 30 hot keys of 40; two pulls in flight may ask for the same row. Evaluation's are not the servers' to count.
      EXPECT_LT(from_servers, int64_t{kSummers} * kSumSteps * kKeys * 9 / 10);
      EXPECT_GE(from_servers + from_cache, int64_t{kSummers} * kSumSteps * kKeys);
      EXPECT_LE(from_servers + from_cache, int64_t{kSummers} * (kSumSteps + 3) * kKeys);
      ASSERT_TRUE(stores[0]->Save(kSumSteps, "end").ok());
      for (const auto& [key, row] : files.Rows("end")) EXPECT_EQ(row.count, uint64_t{kSummers} * kSumSteps);
      EXPECT_TRUE(stores[0]->Shutdown().ok());
    }
  }
}

}  // namespace
}  // namespace weir::testing
