// Rows on servers are the rows of one process, bit for bit, whatever the servers, and wherever they run.
#include "param_server/client/remote_store.h"

#include <sys/mount.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/temporary_folder.h"
#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr int64_t kSteps = 50;

using ::testing::HasSubstr;

// Everything pulled, step by step, is compared too.
std::vector<float> Train(EmbeddingStore* store, int worker, int64_t first, int64_t last) {
  std::vector<float> seen;
  const auto tables = TestTables();
  for (int64_t step = first; step <= last; ++step) {
    StepData data(kSeed, step, worker, tables);
    const Status pulled = store->Pull(step, PullKind::kTraining, data.pulls);
    EXPECT_TRUE(pulled.ok()) << pulled.ToString();
    for (const auto& rows : data.rows) seen.insert(seen.end(), rows.begin(), rows.end());
    const Status pushed = store->Push(step, data.pushes);
    EXPECT_TRUE(pushed.ok()) << pushed.ToString();
    if (::testing::Test::HasFailure()) break;
  }
  return seen;
}

struct Outcome {
  SavedRows rows;
  std::vector<std::vector<float>> seen;  // by worker
};

Outcome TrainOnServers(int num_servers, int num_workers, bool tcp_only = false) {
  MemoryRowFiles files;
  Cluster cluster(num_servers, num_workers, &files, 10, tcp_only);
  Outcome outcome;
  outcome.seen.resize(num_workers);
  auto stores = RunWorkers(cluster, num_workers, [&](int w, RemoteStore* store) {
    outcome.seen[w] = Train(store, w, 1, kSteps);
    const Status drained = store->Drain(kSteps);
    EXPECT_TRUE(drained.ok()) << drained.ToString();
  });
  if (::testing::Test::HasFailure()) return outcome;
  const auto saved = stores[0]->Save(kSteps, "end");
  EXPECT_TRUE(saved.ok()) << saved.status().ToString();
  outcome.rows = files.Rows("end");
  // The way a job ends: worker 0 tells the servers, all say Goodbye, each server learns that all is well.
  const Status ended = stores[0]->Shutdown();
  EXPECT_TRUE(ended.ok()) << ended.ToString();
  stores.clear();
  for (int i = 0; i < cluster.size(); ++i) {
    const Status status = cluster.server(i).Wait();
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  return outcome;
}

Outcome TrainLocally() {
  MemoryRowFiles files;
  auto store = MakeLocalStore(TestTables(), kShards, &files);
  Outcome outcome;
  outcome.seen.push_back(Train(store.get(), 0, 1, kSteps));
  EXPECT_TRUE(store->Save(kSteps, "end").ok());
  outcome.rows = files.Rows("end");
  return outcome;
}

void ExpectSame(const Outcome& a, const Outcome& b) {
  EXPECT_GT(a.rows.size(), 200u);
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (const auto& [key, row] : a.rows) {
    const auto found = b.rows.find(key);
    ASSERT_NE(found, b.rows.end()) << key.first << " key " << key.second;
    EXPECT_EQ(found->second, row) << key.first << " key " << key.second;
  }
  ASSERT_EQ(a.seen.size(), b.seen.size());
  for (size_t w = 0; w < a.seen.size(); ++w) {
    ASSERT_EQ(a.seen[w].size(), b.seen[w].size());
    EXPECT_EQ(std::memcmp(a.seen[w].data(), b.seen[w].data(), a.seen[w].size() * sizeof(float)), 0) << "worker " << w;
  }
}

TEST(RemoteStoreTest, OneWorkerGivesTheBitsOfOneProcess) {
  const Outcome local = TrainLocally();
  for (const int num_servers : {0, 1, 3}) {
    SCOPED_TRACE(num_servers);
    ExpectSame(local, TrainOnServers(num_servers, 1));
  }
  ExpectSame(local, TrainOnServers(3, 1, /*tcp_only=*/true));
}

TEST(RemoteStoreTest, TwoWorkersGiveTheSameBitsOnAnyServers) {
  const Outcome one = TrainOnServers(1, 2);
  for (const int num_servers : {0, 3}) {
    SCOPED_TRACE(num_servers);
    ExpectSame(one, TrainOnServers(num_servers, 2));
  }
  ExpectSame(one, TrainOnServers(1, 2, /*tcp_only=*/true));
}

TEST(RemoteStoreTest, MoreServersThanShards) {
  MemoryRowFiles files;
  Cluster cluster(kShards + 3, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  Outcome outcome;
  outcome.seen.push_back(Train(store.get(), 0, 1, kSteps));
  ASSERT_TRUE(store->Drain(kSteps).ok());
  ASSERT_TRUE(store->Save(kSteps, "end").ok());
  outcome.rows = files.Rows("end");
  ExpectSame(TrainLocally(), outcome);
}

TEST(RemoteStoreTest, ResumesOnAnotherNumberOfServers) {
  MemoryRowFiles files;
  std::vector<DataFile> saved;
  {
    Cluster cluster(3, 1, &files);
    auto store = cluster.Connect(0);
    ASSERT_TRUE(store);
    Train(store.get(), 0, 1, 25);
    ASSERT_TRUE(store->Drain(25).ok());
    auto result = store->Save(25, "half");
    ASSERT_TRUE(result.ok());
    saved = *result;
    EXPECT_EQ(saved.size(), 9u);
  }
  Cluster cluster(2, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  const Status loaded = store->Load(25, "half", saved);
  ASSERT_TRUE(loaded.ok()) << loaded.ToString();
  Train(store.get(), 0, 26, kSteps);
  ASSERT_TRUE(store->Drain(kSteps).ok());
  ASSERT_TRUE(store->Save(kSteps, "end").ok());
  EXPECT_EQ(files.Rows("end"), TrainLocally().rows);
}

TEST(RemoteStoreTest, AStartedPullSeesThePushesBeforeItsStepAndNoLaterOnes) {
  MemoryRowFiles files;
  Cluster cluster(2, 1, &files);
  auto remote = cluster.Connect(0);
  ASSERT_TRUE(remote);
  auto local = MakeLocalStore(TestTables(), kShards, &files);
  const auto tables = TestTables();
  std::unique_ptr<StepData> data[2] = {std::make_unique<StepData>(kSeed, 1, 0, tables), nullptr};
  StepData oracle(kSeed, 1, 0, tables);
  auto ticket = remote->StartPull(1, PullKind::kTraining, data[0]->pulls);
  ASSERT_TRUE(ticket.ok());
  for (int64_t step = 1; step <= 20; ++step) {
    ASSERT_TRUE(remote->FinishPull(*ticket).ok());
    StepData expected(kSeed, step, 0, tables);
    ASSERT_TRUE(local->Pull(step, PullKind::kTraining, expected.pulls).ok());
    EXPECT_EQ(data[0]->rows, expected.rows) << "step " << step;
    // The next step's pull goes out before this step's push.
    data[1] = std::make_unique<StepData>(kSeed, step + 1, 0, tables);
    ticket = remote->StartPull(step + 1, PullKind::kTraining, data[1]->pulls);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(remote->Push(step, data[0]->pushes).ok());
    ASSERT_TRUE(local->Push(step, expected.pushes).ok());
    std::swap(data[0], data[1]);
  }
  ASSERT_TRUE(remote->FinishPull(*ticket).ok());
}

TEST(RemoteStoreTest, EvaluationPullsChangeNothingAndCountMessages) {
  MemoryRowFiles files;
  Cluster cluster(3, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  Train(store.get(), 0, 1, 5);
  const auto before = store->Stats();
  ASSERT_TRUE(before.ok());
  const auto tables = TestTables();
  for (int64_t i = 0; i < 10; ++i) {
    StepData data(kSeed + 1, 100 + i, 0, tables);
    ASSERT_TRUE(store->Pull(6, PullKind::kEvaluation, data.pulls).ok());
  }
  const auto after = store->Stats();
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->rows, before->rows);
  EXPECT_GT(after->rows, 0);
  EXPECT_GT(after->bytes, 0);
  EXPECT_EQ(after->messages_sent - before->messages_sent, 10 * 3 + 3);  // one a server and pull, and the Stats
  EXPECT_GT(after->bytes_received, before->bytes_received);
}

// What server `server` of `num_servers` is to count of a worker's step; `travels`: whether it is not beside the worker.
void AddStep(const StepData& data, int server, int num_servers, bool travels, ServerLoad* load) {
  const std::vector<TableFormat> formats = TableFormats(TestTables());
  std::vector<TableCount> counts;
  for (const TablePull& pull : data.pulls) {
    const auto owned = std::ranges::count_if(pull.keys, [&](uint64_t key) {
      const int shard = VirtualShard(key, kShards);
      return shard >= ShardBegin(server, num_servers, kShards) && shard < ShardBegin(server + 1, num_servers, kShards);
    });
    counts.push_back({pull.table, static_cast<size_t>(owned)});
    load->keys_pulled += owned;
    load->keys_pushed += owned;
  }
  const StepBytes bytes = BytesOfStep(counts, formats);
  if (travels) load->bytes_in += static_cast<int64_t>(bytes.sent);
  if (travels) load->bytes_out += static_cast<int64_t>(bytes.received);
}

TEST(RemoteStoreTest, EachServersLoadIsWhatItGot) {
  constexpr int kWorkers = 2;
  for (const int num_servers : {3, 0}) {
    SCOPED_TRACE(num_servers);
    MemoryRowFiles files;
    // Rows that come early have messages of their own, how many is a matter of time.
    Cluster cluster(num_servers, kWorkers, &files, 10, /*tcp_only=*/false, TestTables(), {}, /*look_ahead=*/false);
    auto stores = RunWorkers(cluster, kWorkers, [&](int w, RemoteStore* store) {
      Train(store, w, 1, kSteps);
      EXPECT_TRUE(store->Drain(kSteps).ok());
    });
    ASSERT_FALSE(HasFailure());
    std::vector<ServerLoad> expected(cluster.size());
    for (int server = 0; server < cluster.size(); ++server) {
      for (int64_t step = 1; step <= kSteps; ++step) {
        for (int w = 0; w < kWorkers; ++w) {
          const StepData data(kSeed, step, w, TestTables());
          AddStep(data, server, cluster.size(), num_servers > 0 || w != server, &expected[server]);
        }
      }
    }
    const StoreStats stats = *stores[0]->Stats();
    ASSERT_EQ(stats.servers.size(), expected.size());
    ASSERT_TRUE(stores[0]->Save(kSteps, "end").ok());
    for (const auto& [key, row] : files.Rows("end")) {
      const int shard = VirtualShard(key.second, kShards);
      for (int server = 0; server < cluster.size(); ++server) {
        expected[server].rows += shard >= ShardBegin(server, cluster.size(), kShards) &&
                                 shard < ShardBegin(server + 1, cluster.size(), kShards);
      }
    }
    int64_t bytes = 0;
    for (int server = 0; server < cluster.size(); ++server) {
      EXPECT_GT(stats.servers[server].bytes, 0);
      bytes += stats.servers[server].bytes;
      expected[server].bytes = stats.servers[server].bytes;
      EXPECT_EQ(stats.servers[server], expected[server]) << server;
    }
    EXPECT_EQ(bytes, stats.bytes);

    // An evaluation pulls and does not push.
    const StepData data(kSeed + 1, 1, 0, TestTables());
    ASSERT_TRUE(stores[0]->Pull(kSteps + 1, PullKind::kEvaluation, data.pulls).ok());
    std::vector<ServerLoad> more(cluster.size());
    for (int server = 0; server < cluster.size(); ++server) AddStep(data, server, cluster.size(), false, &more[server]);
    const std::vector<ServerLoad> after = stores[0]->Stats()->servers;
    for (int server = 0; server < cluster.size(); ++server) {
      EXPECT_EQ(after[server].keys_pulled, expected[server].keys_pulled + more[server].keys_pulled);
      EXPECT_EQ(after[server].keys_pushed, expected[server].keys_pushed);
    }
    ASSERT_TRUE(stores[0]->Shutdown().ok());
  }
}

TEST(ServerLoadTest, ImbalanceIsTheLargestOverTheMean) {
  std::vector<ServerLoad> loads(4);
  EXPECT_EQ(Imbalance(loads, &ServerLoad::rows), 1) << "nothing anywhere";
  loads[2].rows = 12;
  EXPECT_EQ(Imbalance(loads, &ServerLoad::rows), 4) << "all at one";
  loads[0].rows = loads[1].rows = loads[3].rows = 12;
  EXPECT_EQ(Imbalance(loads, &ServerLoad::rows), 1);
  loads[0].rows = 60;
  EXPECT_EQ(Imbalance(loads, &ServerLoad::rows), 2.5);
}

TEST(RemoteStoreTest, AWorkerThatOnlyPushesDoesNotRunAway) {
  MemoryRowFiles files;
  Cluster cluster(1, 2, &files);
  auto slow = cluster.Connect(0);
  auto fast = cluster.Connect(1);
  ASSERT_TRUE(slow && fast);
  std::atomic<int64_t> pushed = 0;
  std::thread thread([&] {
    for (int64_t step = 1; step <= 60; ++step) {
      EXPECT_TRUE(fast->Push(step, {}).ok());
      pushed = step;
    }
  });
  // It comes as far as it may, and no farther while the other has not begun.
  const int64_t deadline_ns = SystemClock().SteadyNanos() + 15 * kNanosPerSecond;
  while (pushed < kStepsAheadMax && SystemClock().SteadyNanos() < deadline_ns) {
    SystemClock().SleepNanos(kNanosPerMilli);
  }
  EXPECT_EQ(pushed, kStepsAheadMax);
  for (int64_t step = 1; step <= 60; ++step) EXPECT_TRUE(RunStep(slow.get(), kSeed, step, 0).ok());
  thread.join();
  EXPECT_TRUE(fast->Drain(60).ok());
}

TEST(RemoteStoreTest, PullsOfStepsThatAreGoneAreRefused) {
  MemoryRowFiles files;
  Cluster cluster(1, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  Train(store.get(), 0, 1, 3);
  ASSERT_TRUE(store->Drain(3).ok());
  StepData data(kSeed, 2, 0, TestTables());
  const Status status = store->Pull(2, PullKind::kTraining, data.pulls);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("Pull of step 2 by worker 0: step 3 is applied already"));
}

TEST(RemoteStoreTest, AMessageAboveTheBoundIsRefusedBeforeItIsSent) {
  MemoryRowFiles files;
  Cluster cluster(1, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  std::vector<uint64_t> keys(100'000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = i;
  std::vector<float> rows(keys.size() * 6);
  const TablePull pull{2, keys, rows.data()};
  const auto ticket = store->StartPull(1, PullKind::kTraining, {&pull, 1});
  EXPECT_EQ(ticket.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(ticket.status().message(), HasSubstr("cluster.max_frame_bytes"));
  EXPECT_TRUE(RunStep(store.get(), kSeed, 1, 0).ok());
}

TEST(RemoteStoreTest, AFullDiskWhileSavingReachesTheCallerAndEndsTheJob) {
  MemoryRowFiles files;
  files.write_error = ResourceExhausted("rows-server-0: No space left on device");
  Cluster cluster(2, 1, &files);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  Train(store.get(), 0, 1, 2);
  ASSERT_TRUE(store->Drain(2).ok());
  const auto saved = store->Save(2, "full");
  EXPECT_EQ(saved.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(saved.status().message(), HasSubstr("saving step 2"));
  EXPECT_THAT(saved.status().message(), HasSubstr("No space left on device"));
  EXPECT_THAT(cluster.server(1).Wait().message(), HasSubstr("No space left on device"));
}

void GiveDisk(const std::string& path, std::vector<TableSpec>* tables) {
  for (TableSpec& table : *tables) {
    table.limits.memory_bytes = 64 << 10;
    table.limits.disk = true;
    table.disk_path = path;
  }
}

ServerOptions OptionsWithDisk(const std::string& path, RowFiles* files) {
  ServerOptions options = TestServerOptions(0, 1, 1, files);
  GiveDisk(path, &options.tables);
  return options;
}

TEST(RemoteStoreTest, AServerDoesNotStartOnAForeignFolder) {
  MemoryRowFiles files;
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() + "/server-0");
  std::ofstream(folder.path() + "/server-0/photo.jpg") << "sea";
  const auto server = Server::Start(OptionsWithDisk(folder.path(), &files));
  EXPECT_EQ(server.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(server.status().message(), HasSubstr("photo.jpg"));
}

// A real full disk. Needs root for the mount.
TEST(RemoteStoreTest, AFullDiskUnderTheRowsReachesTheWorkerAndEndsTheJob) {
  TemporaryFolder folder;
  if (::mount("weir", folder.path().c_str(), "tmpfs", 0, "size=6m") != 0) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string(ci) == "true") FAIL() << "mounting a tmpfs: " << std::strerror(errno);
    GTEST_SKIP() << "mounting a tmpfs: " << std::strerror(errno);
  }
  MemoryRowFiles files;
  {
    auto server = Server::Start(OptionsWithDisk(folder.path(), &files));
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    RemoteStoreOptions store_options = TestStoreOptions(0, 1, {(*server)->address()});
    GiveDisk(folder.path(), &store_options.tables);
    auto store = RemoteStore::Connect(store_options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    Status status;
    std::vector<uint64_t> keys(2000);
    std::vector<float> rows(keys.size() * 6), gradients(keys.size() * 6, 1);
    for (int64_t step = 1; step < 500 && status.ok(); ++step) {
      for (size_t i = 0; i < keys.size(); ++i) keys[i] = step * keys.size() + i;
      const TablePull pull{2, keys, rows.data()};
      status = (*store)->Pull(step, PullKind::kTraining, {&pull, 1});
      const TablePush push{2, keys, gradients.data()};
      if (status.ok()) status = (*store)->Push(step, {&push, 1});
      if (status.ok()) status = (*store)->Drain(step);
    }
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
    for (const char* part : {"server 0, step ", "table table2", "No space left on device"}) {
      EXPECT_THAT(status.message(), HasSubstr(part));
    }
    EXPECT_THAT(status.message(), HasSubstr(folder.path()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  // Detached: another process of the system may be looking at it for a moment.
  EXPECT_EQ(::umount2(folder.path().c_str(), MNT_DETACH), 0) << std::strerror(errno);
}

TEST(RemoteStoreTest, ALongSaveIsNoSilenceAndCountsAsProgress) {
  MemoryRowFiles files;
  files.block_ns = 100 * kNanosPerMilli;
  files.blocks = 45;  // 4.5 s in all, above silence and progress, each far below
  ServerOptions options = TestServerOptions(0, 1, 1, &files, 3);
  options.progress_ns = 3 * kNanosPerSecond;
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok());
  RemoteStoreOptions store_options = TestStoreOptions(0, 1, {(*server)->address()}, 3);
  store_options.progress_ns = 3 * kNanosPerSecond;
  auto store = RemoteStore::Connect(store_options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  ASSERT_TRUE(RunStep(store->get(), kSeed, 1, 0).ok());
  const auto saved = (*store)->Save(1, "slow");
  EXPECT_TRUE(saved.ok()) << saved.status().ToString();
}

TEST(ServerAddressTest, GoesThroughText) {
  const ServerAddress address{.host = "10.0.0.7", .port = 4711, .machine = "node-3/boot", .unix_name = "weir-1"};
  const auto back = ServerAddress::FromString(address.ToString());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->host, "10.0.0.7");
  EXPECT_EQ(back->port, 4711);
  EXPECT_EQ(back->machine, "node-3/boot");
  EXPECT_EQ(back->unix_name, "weir-1");
  const ServerAddress bare{.host = "::1", .port = 1, .machine = "m", .unix_name = ""};
  EXPECT_EQ(ServerAddress::FromString(bare.ToString())->unix_name, "");
  EXPECT_EQ(bare.HostPort(), "[::1]:1");
  for (const char* text : {"", "a", "a b c d", "a 70000 c d", "a -1 c d", " 1 c d", "a 1x c d"}) {
    EXPECT_EQ(ServerAddress::FromString(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace weir::testing
