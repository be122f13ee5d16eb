#include "param_server/server/look_ahead.h"

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OwedKeysTest, IsAsASetOfStepsForEachKey) {
  OwedKeys owed;
  std::map<uint64_t, std::set<int64_t>> oracle;
  uint64_t draw = 0;
  const auto next = [&](uint64_t bound) {
    return BoundedIndex(RandomBits(7, RandomPurpose::kSampling, 1, draw++), bound);
  };
  int64_t applied = 0;
  for (int round = 0; round < 4000; ++round) {
    const int64_t step = applied + 1 + static_cast<int64_t>(next(kStepsAheadMax + 1));
    std::vector<uint64_t> keys;
    for (uint64_t i = next(30); i > 0; --i) keys.push_back(next(8) == 0 ? ~uint64_t{0} - next(3) : next(500));
    std::vector<uint32_t> free, expected;
    owed.FindFree(step, applied, keys, &free);
    for (size_t i = 0; i < keys.size(); ++i) {
      const std::set<int64_t>& steps = oracle[keys[i]];
      const auto first = steps.upper_bound(applied);
      if (first == steps.end() || *first >= step) expected.push_back(static_cast<uint32_t>(i));
    }
    ASSERT_EQ(free, expected) << "round " << round;
    owed.Add(step, applied, keys);
    for (const uint64_t key : keys) {
      oracle[key].insert(step);
      ASSERT_TRUE(owed.IsOf(step, key));
    }
    const uint64_t other = next(500);
    ASSERT_EQ(owed.IsOf(step, other), oracle[other].count(step) > 0);
    if (next(3) == 0) ++applied;
  }
  EXPECT_LE(owed.capacity(), 4096u) << "keys of applied steps are forgotten";
}

// Two workers at one server, played byte by byte. Table 0 has dim 4.
class Played {
 public:
  explicit Played(std::vector<TableSpec> tables = TestTables(), Consistency consistency = {})
      : cluster_(1, 2, nullptr, 10, /*tcp_only=*/false, std::move(tables), consistency),
        sockets_{RawSocket(cluster_.address(0).port), RawSocket(cluster_.address(0).port)} {
    for (int w = 0; w < 2; ++w) {
      Hello hello = TestHello(w, 2);
      hello.table_digest = TableDigest(cluster_.StoreOptions(0).tables);
      EXPECT_TRUE(sockets_[w].WriteFrame(MessageType::kHello, EncodeHello(hello)));
      EXPECT_EQ(sockets_[w].ReadFrame().first, MessageType::kWelcome);
    }
  }
  void Pull(int worker, int64_t step, std::vector<uint64_t> keys, int table = 0) {
    const TableCount count[] = {{table, keys.size()}};
    KeyedBuffer filled = EncodePull(step, PullKind::kTraining, count);
    std::copy(keys.begin(), keys.end(), filled.keys);
    EXPECT_TRUE(sockets_[worker].WriteFrame(MessageType::kPull, filled.payload, step));
  }
  // Ones for each weight.
  void Push(int worker, int64_t step, std::vector<uint64_t> keys, bool as_pulled = true, int table = 0) {
    const TableCount count[] = {{table, keys.size()}};
    const std::vector<TableFormat> formats = TableFormats(TestTables());
    KeyedBuffer filled = EncodePush({.step = step,
                                     .sequence = static_cast<uint64_t>(step),
                                     .unix_ms = 0,
                                     .worker = static_cast<uint32_t>(worker),
                                     .as_pulled = as_pulled,
                                     .tables = {}},
                                    count, formats);
    if (!as_pulled) std::copy(keys.begin(), keys.end(), filled.keys);
    auto* values = reinterpret_cast<float*>(filled.values);
    std::fill_n(values, keys.size() * formats[table].dim, 1.0f);
    EXPECT_TRUE(sockets_[worker].WriteFrame(MessageType::kPush, filled.payload));
  }
  // The type of the next answer and its bytes.
  std::pair<MessageType, std::vector<uint8_t>> Answer(int worker) { return sockets_[worker].ReadFrame(); }
  Status End() { return cluster_.server(0).Wait(); }

 private:
  Cluster cluster_;
  RawSocket sockets_[2];
};

constexpr size_t kRowBytes = 4 * sizeof(float);

TEST(LookAheadTest, RowsThatNobodyOwesComeAtOnceAndTheOthersWhenTheyAreTrained) {
  Played played;
  played.Pull(0, 1, {10, 11});
  played.Pull(1, 1, {12});
  const auto first = played.Answer(0);
  ASSERT_EQ(first.first, MessageType::kRows);
  ASSERT_EQ(played.Answer(1).first, MessageType::kRows);
  // Keys 10 and 12 are owed, by this worker and by the other; 13 and 14 by nobody.
  played.Pull(0, 2, {10, 12, 13, 14});
  const auto [type, early] = played.Answer(0);
  ASSERT_EQ(type, MessageType::kEarlyRows);
  ASSERT_EQ(early.size(), 8 + 2 * kRowBytes);
  EXPECT_EQ(early[0], 0b1100);
  played.Push(0, 1, {10, 11});
  played.Push(1, 1, {12});
  const auto [late_type, late] = played.Answer(0);
  ASSERT_EQ(late_type, MessageType::kRows);
  ASSERT_EQ(late.size(), 2 * kRowBytes);
  EXPECT_NE(std::memcmp(late.data(), first.second.data(), kRowBytes), 0) << "key 10 was trained";
}

TEST(LookAheadTest, NothingIsGivenBeforeAllPullsOfTheStepsBeforeAreIn) {
  Played played;
  played.Pull(0, 1, {10});
  ASSERT_EQ(played.Answer(0).first, MessageType::kRows);
  played.Pull(0, 2, {13});
  // Worker 1 may yet owe key 13.
  played.Pull(1, 1, {13});
  ASSERT_EQ(played.Answer(1).first, MessageType::kRows);
  played.Push(0, 1, {10});
  played.Push(1, 1, {13});
  const auto [type, rows] = played.Answer(0);
  EXPECT_EQ(type, MessageType::kRows);
  EXPECT_EQ(rows.size(), kRowBytes);
}

TEST(LookAheadTest, RowsGivenAheadHoldWorkersToWhatTheyPulled) {
  Played played;
  played.Pull(0, 1, {10});
  played.Pull(1, 1, {12});
  played.Pull(0, 2, {13});
  ASSERT_EQ(played.Answer(0).first, MessageType::kRows);
  ASSERT_EQ(played.Answer(0).first, MessageType::kEarlyRows);
  ASSERT_EQ(played.Answer(1).first, MessageType::kRows);
  played.Push(1, 1, {13}, /*as_pulled=*/false);
  const auto [type, payload] = played.Answer(1);
  ASSERT_EQ(type, MessageType::kError);
  Status error;
  ASSERT_TRUE(DecodeError(payload, &error).ok());
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("was not pulled for that step"));
}

// A worker that gave up a pull and makes another one of its step pushes the keys of the later one; where the rows of
// the first lie must not stand for theirs. Each time the first is answered in another way.
TEST(LookAheadTest, AStepPulledTwiceTrainsTheLaterKeys) {
  const auto rows_after = [](const std::vector<uint64_t>& given_up, int answers) {
    Played played;
    played.Pull(0, 1, {10, 11});
    played.Pull(1, 1, {12});
    EXPECT_EQ(played.Answer(0).first, MessageType::kRows);
    EXPECT_EQ(played.Answer(1).first, MessageType::kRows);
    if (!given_up.empty()) played.Pull(0, 2, given_up);
    played.Pull(0, 2, {11, 30});
    played.Push(0, 1, {10, 11});
    played.Push(1, 1, {12});
    for (int i = 0; i < answers; ++i) EXPECT_NE(played.Answer(0).first, MessageType::kError);
    played.Pull(1, 2, {40});
    EXPECT_NE(played.Answer(1).first, MessageType::kError);
    played.Push(0, 2, {11, 30});
    played.Push(1, 2, {40});
    played.Pull(0, 3, {10, 11, 12, 25, 30});
    std::pair<MessageType, std::vector<uint8_t>> rows = played.Answer(0);
    if (rows.first == MessageType::kEarlyRows) rows = played.Answer(0);
    EXPECT_EQ(rows.first, MessageType::kRows);
    return rows.second;
  };
  const std::vector<uint8_t> expected = rows_after({}, 2);
  EXPECT_EQ(expected.size(), 5 * kRowBytes);
  EXPECT_EQ(rows_after({20, 21, 22, 23, 24, 25, 26, 10}, 4), expected) << "early, then its last row";
  EXPECT_EQ(rows_after({10, 12}, 3), expected) << "as many rows, all late";
}

TEST(LookAheadTest, TablesWithLimitsWait) {
  std::vector<TableSpec> tables = TestTables();
  tables[0].limits.eviction.set_ttl_steps(1);  // a row may be dropped without a push
  Played played(tables);
  played.Pull(0, 1, {10});
  played.Pull(1, 1, {12});
  ASSERT_EQ(played.Answer(0).first, MessageType::kRows);
  played.Pull(0, 2, {13});
  played.Push(0, 1, {10});
  played.Push(1, 1, {12});
  EXPECT_EQ(played.Answer(0).first, MessageType::kRows) << "not early";
}

TEST(PerTableModeTest, RowsOfAPatientTableComeWhileOthersWait) {
  std::vector<TableSpec> tables = TestTables();
  // Table 1 is async: its rows never wait, and its pushes are applied when they come.
  tables[1].consistency.async = true;
  auto options = TestServerOptions(0, 1, 2, nullptr);
  options.tables = tables;
  auto started = Server::Start(options);
  ASSERT_TRUE(started.ok());
  std::vector<std::unique_ptr<RemoteStore>> stores;
  for (int w = 0; w < 2; ++w) {
    RemoteStoreOptions store = TestStoreOptions(w, 2, {(*started)->address()});
    store.tables = tables;
    auto connected = RemoteStore::Connect(store);
    ASSERT_TRUE(connected.ok()) << connected.status().ToString();
    stores.push_back(std::move(*connected));
  }
  const uint64_t key = 5;
  const auto pull = [&](int worker, int64_t step, float* slow, float* patient) {
    const TablePull pulls[] = {{0, {&key, 1}, slow}, {1, {&key, 1}, patient}};
    return stores[worker]->StartPull(step, PullKind::kTraining, pulls);
  };
  const auto push = [&](int worker, int64_t step) {
    const float gradients[4] = {1, 1, 1, 1};
    const TablePush pushes[] = {{0, {&key, 1}, gradients}, {1, {&key, 1}, gradients}};
    return stores[worker]->Push(step, pushes);
  };
  float slow[3][4] = {}, patient[3] = {};
  auto ticket = pull(0, 1, slow[0], &patient[0]);
  ASSERT_TRUE(ticket.ok() && stores[0]->FinishPull(*ticket).ok());
  ASSERT_TRUE(push(0, 1).ok());
  // Worker 1 has pushed nothing: table 0 waits for it, table 1 does not.
  patient[1] = 1e9;
  ticket = pull(0, 2, slow[1], &patient[1]);
  ASSERT_TRUE(ticket.ok());
  const int64_t end_ns = SystemClock().SteadyNanos() + 5 * kNanosPerSecond;
  const auto arrived = [&] { return reinterpret_cast<std::atomic<float>*>(&patient[1])->load() != 1e9f; };
  while (!arrived() && SystemClock().SteadyNanos() < end_ns) SystemClock().SleepNanos(kNanosPerMilli);
  EXPECT_TRUE(arrived());
  EXPECT_FLOAT_EQ(patient[1], patient[0] - 0.05f) << "its own push is in it";
  EXPECT_EQ(slow[1][0], 0) << "not yet";
  ASSERT_TRUE(push(1, 1).ok());
  ASSERT_TRUE(stores[0]->FinishPull(*ticket).ok());
  EXPECT_NE(slow[1][0], slow[0][0]);
  EXPECT_NE(slow[1][0], 0);
  ASSERT_TRUE(push(0, 2).ok() && push(1, 2).ok() && stores[0]->Drain(2).ok());
  float after[4], after_patient;
  ticket = pull(0, 3, after, &after_patient);
  ASSERT_TRUE(ticket.ok() && stores[0]->FinishPull(*ticket).ok());
  EXPECT_FLOAT_EQ(after_patient, patient[0] - 4 * 0.05f) << "SGD, each of four pushes once";
  EXPECT_TRUE(stores[0]->Shutdown().ok());
}

// Bits are those of rows that come together, with pulls up to three steps ahead.
class LookAheadBitsTest : public ::testing::TestWithParam<int> {};

SavedRows TrainAhead(int num_servers, int ahead, bool look_ahead, WireConfig::Type type, int64_t* early) {
  constexpr int64_t kSteps = 40;
  constexpr int kWorkers = 3;
  MemoryRowFiles files;
  std::vector<TableSpec> tables = TestTables();
  for (TableSpec& table : tables) table.wire.set_pull(type);
  Cluster cluster(num_servers, kWorkers, &files, 10, /*tcp_only=*/false, tables, {}, look_ahead);
  auto stores = RunWorkers(cluster, kWorkers, [&](int worker, RemoteStore* store) {
    std::map<int64_t, std::pair<std::unique_ptr<StepData>, PullTicket>> under_way;
    for (int64_t step = 1, next = 1; step <= kSteps; ++step) {
      for (; next <= std::min(step + ahead, kSteps); ++next) {
        auto data = std::make_unique<StepData>(3, next, worker, tables);
        const auto ticket = store->StartPull(next, PullKind::kTraining, data->pulls);
        ASSERT_TRUE(ticket.ok()) << ticket.status().ToString();
        under_way[next] = {std::move(data), *ticket};
      }
      auto& [data, ticket] = under_way[step];
      const Status pulled = store->FinishPull(ticket);
      ASSERT_TRUE(pulled.ok()) << pulled.ToString();
      // Gradients that depend on the rows, so that a wrong row does not stay unseen.
      for (size_t t = 0; t < tables.size(); ++t) {
        for (size_t i = 0; i < data->rows[t].size(); ++i) data->gradients[t][i] += data->rows[t][i];
      }
      const Status pushed = store->Push(step, data->pushes);
      ASSERT_TRUE(pushed.ok()) << pushed.ToString();
      under_way.erase(step);
    }
    const Status drained = store->Drain(kSteps);
    ASSERT_TRUE(drained.ok()) << drained.ToString();
  });
  if (::testing::Test::HasFailure()) return {};
  *early = 0;
  const auto stats = stores[0]->Stats();
  EXPECT_TRUE(stats.ok());
  for (const ServerLoad& load : stats->servers) *early += load.keys_early;
  EXPECT_TRUE(stores[0]->Save(kSteps, "end").ok());
  EXPECT_TRUE(stores[0]->Shutdown().ok());
  return files.Rows("end");
}

TEST_P(LookAheadBitsTest, AreThoseOfRowsThatComeTogether) {
  const int num_servers = GetParam();
  for (const WireConfig::Type type : {WireConfig::FLOAT32, WireConfig::BFLOAT16}) {
    int64_t early = 0;
    const SavedRows together = TrainAhead(num_servers, 1, false, type, &early);
    EXPECT_EQ(early, 0);
    EXPECT_GT(together.size(), 200u);
    for (const int ahead : {1, 3}) {
      EXPECT_EQ(TrainAhead(num_servers, ahead, true, type, &early), together) << "ahead " << ahead;
      EXPECT_GT(early, 100) << "ahead " << ahead;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Servers, LookAheadBitsTest, ::testing::Values(0, 1, 3));

}  // namespace
}  // namespace weir::testing
