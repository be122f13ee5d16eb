// Tables with limits: the number of servers, a resume in the middle of a window and the place of the clock do not show.
#include <thread>

#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

constexpr uint64_t kSeed = 424242;
constexpr int64_t kSteps = 60;
constexpr int64_t kHalf = 27;

// A table with a count filter, a budget and a time to live in seconds; one admitted by chance; one without limits.
std::vector<TableSpec> LimitedTables() {
  std::vector<TableSpec> tables = TestTables();
  TableConfig counted;
  counted.set_memory("96KiB");
  counted.mutable_admission()->mutable_count()->set_threshold(2);
  counted.mutable_admission()->mutable_count()->set_window_steps(12);
  counted.mutable_admission()->mutable_count()->set_filter_memory("4KiB");
  counted.mutable_eviction()->set_when_full(EvictionConfig::LEAST_FREQUENT);
  counted.mutable_eviction()->set_ttl_s(15);
  counted.mutable_eviction()->set_every_steps(3);
  tables[0].limits = MakeTableLimits(counted);
  TableConfig drawn;
  drawn.mutable_admission()->mutable_probability()->set_probability(0.3);
  drawn.mutable_admission()->set_not_admitted(AdmissionConfig::SHARED);
  drawn.mutable_eviction()->set_ttl_steps(5);
  drawn.mutable_eviction()->set_every_steps(2);
  tables[1].limits = MakeTableLimits(drawn);
  return tables;
}

// A second a step, told by hand: a store's push of step s reads s seconds.
class StepClock : public Clock {
 public:
  explicit StepClock(int worker) : skew_s_(worker * 1000) {}
  int64_t SteadyNanos() const override { return SystemClock().SteadyNanos(); }
  int64_t UnixNanos() const override { return (1'700'000'000 + skew_s_ + step) * kNanosPerSecond; }
  void SleepNanos(int64_t duration_ns) const override { SystemClock().SleepNanos(duration_ns); }
  int64_t step = 0;

 private:
  const int64_t skew_s_;  // other workers' clocks are wrong, and must not matter
};

std::vector<float> Train(EmbeddingStore* store, StepClock* clock, int worker, int64_t first, int64_t last) {
  std::vector<float> seen;
  const auto tables = LimitedTables();
  for (int64_t step = first; step <= last; ++step) {
    StepData data(kSeed, step, worker, tables);
    const Status pulled = store->Pull(step, PullKind::kTraining, data.pulls);
    EXPECT_TRUE(pulled.ok()) << pulled.ToString();
    for (const auto& rows : data.rows) seen.insert(seen.end(), rows.begin(), rows.end());
    clock->step = step;
    const Status pushed = store->Push(step, data.pushes);
    EXPECT_TRUE(pushed.ok()) << pushed.ToString();
    if (::testing::Test::HasFailure()) break;
  }
  return seen;
}

struct Outcome {
  SavedRows rows;
  MemoryRowFiles::Policies policies;
  std::vector<std::vector<float>> seen;  // by worker
  std::vector<TableStats> stats;
};

// Steps [first, last]; begins with what `from` says, and saves to `to`.
void RunOnServers(int num_servers, int num_workers, int64_t first, int64_t last, const std::string& from,
                  const std::string& to, MemoryRowFiles* files, Outcome* outcome) {
  Cluster cluster(num_servers, num_workers, files, 10, false, LimitedTables());
  outcome->seen.resize(num_workers);
  std::vector<std::unique_ptr<StepClock>> clocks;
  std::vector<std::unique_ptr<RemoteStore>> stores;
  for (int w = 0; w < num_workers; ++w) {
    clocks.push_back(std::make_unique<StepClock>(w));
    RemoteStoreOptions options = cluster.StoreOptions(w);
    options.clock = clocks.back().get();
    auto store = RemoteStore::Connect(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    stores.push_back(std::move(*store));
  }
  if (!from.empty()) {
    const std::vector<DataFile> all = files->FilesOf(from);
    ASSERT_TRUE(stores[0]->Load(first - 1, from, all).ok());
  }
  std::vector<std::thread> workers;
  for (int w = 0; w < num_workers; ++w) {
    workers.emplace_back([&, w] {
      const std::vector<float> seen = Train(stores[w].get(), clocks[w].get(), w, first, last);
      outcome->seen[w].insert(outcome->seen[w].end(), seen.begin(), seen.end());
      EXPECT_TRUE(stores[w]->Drain(last).ok());
    });
  }
  for (std::thread& worker : workers) worker.join();
  const auto stats = stores[0]->Stats();
  ASSERT_TRUE(stats.ok());
  outcome->stats = stats->tables;
  const auto saved = stores[0]->Save(last, to);
  ASSERT_TRUE(saved.ok()) << saved.status().ToString();
  outcome->rows = files->Rows(to);
  outcome->policies = files->PoliciesOf(to);
  EXPECT_TRUE(stores[0]->Shutdown().ok());
}

Outcome OnServers(int num_servers, int num_workers) {
  MemoryRowFiles files;
  Outcome outcome;
  RunOnServers(num_servers, num_workers, 1, kSteps, "", "end", &files, &outcome);
  return outcome;
}

Outcome Locally() {
  MemoryRowFiles files;
  StepClock clock(0);
  auto store = MakeLocalStore(LimitedTables(), kShards, &files, &clock);
  Outcome outcome;
  outcome.seen.push_back(Train(store.get(), &clock, 0, 1, kSteps));
  outcome.stats = store->Stats()->tables;
  EXPECT_TRUE(store->Save(kSteps, "end").ok());
  outcome.rows = files.Rows("end");
  outcome.policies = files.PoliciesOf("end");
  return outcome;
}

// `policies` as well, but for tombstones, which a commit in between has written.
void ExpectSame(const Outcome& a, const Outcome& b, bool policies = true) {
  EXPECT_GT(a.rows.size(), 50u);
  EXPECT_EQ(a.rows, b.rows);
  if (policies) {
    EXPECT_EQ(a.policies, b.policies);
  }
  ASSERT_EQ(a.seen.size(), b.seen.size());
  for (size_t w = 0; w < a.seen.size(); ++w) {
    ASSERT_EQ(a.seen[w].size(), b.seen[w].size());
    EXPECT_EQ(std::memcmp(a.seen[w].data(), b.seen[w].data(), a.seen[w].size() * sizeof(float)), 0) << "worker " << w;
  }
}

TEST(LimitsTest, OneWorkerGivesTheBitsOfOneProcess) {
  const Outcome local = Locally();
  EXPECT_GT(local.stats[0].not_admitted, 0);
  EXPECT_GT(local.stats[0].evicted_expired, 0);
  EXPECT_GT(local.stats[1].evicted_expired, 0);
  for (const int num_servers : {0, 1, 3}) {
    SCOPED_TRACE(num_servers);
    const Outcome remote = OnServers(num_servers, 1);
    ExpectSame(local, remote);
    for (size_t table = 0; table < local.stats.size(); ++table) {
      TableStats stats = remote.stats[table];
      stats.bytes = local.stats[table].bytes;  // pages are rounded by each owner
      EXPECT_EQ(stats, local.stats[table]) << table;
    }
  }
}

TEST(LimitsTest, TwoWorkersGiveTheSameBitsOnAnyServers) {
  const Outcome one = OnServers(1, 2);
  for (const int num_servers : {0, 3}) {
    SCOPED_TRACE(num_servers);
    ExpectSame(one, OnServers(num_servers, 2));
  }
}

TEST(LimitsTest, AResumeOnOtherServersGoesOnWithTheSameBits) {
  const Outcome straight = OnServers(2, 2);
  MemoryRowFiles files;
  Outcome resumed;
  RunOnServers(1, 2, 1, kHalf, "", "half", &files, &resumed);
  RunOnServers(3, 2, kHalf + 1, kSteps, "half", "end", &files, &resumed);
  ExpectSame(straight, resumed, /*policies=*/false);
}

}  // namespace
}  // namespace weir::testing
