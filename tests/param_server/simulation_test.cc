// Whole jobs on a simulated network: workers, servers and their transports in one process, on virtual time, with every
// fault that a seed calls for. Whatever happens, each gradient is applied exactly once, rows are those of one process,
// no wait outlasts its deadline and memory stays bounded; a job that cannot go on ends on all ranks and goes on from
// its last commit.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"
#include "tests/param_server/simulated_network.h"

namespace weir::testing {
namespace {

constexpr int64_t kSilenceNanos = 8 * kNanosPerSecond;
constexpr int64_t kProgressNanos = 20 * kNanosPerSecond;
// A job that fails has ended everywhere this long after the last rank could still make progress.
constexpr int64_t kAttemptNanosMax = 120 * kNanosPerSecond;
constexpr int64_t kEventsMax = 200'000;
constexpr int kAttemptsMax = 8;

// What a seed makes of a job.
struct Plan {
  uint64_t seed = 0;
  int workers = 1;
  int servers = 1;
  int64_t steps = 6;
  int64_t commit_every = 0;
  int ahead = 1;  // pulls under way while a step is computed
  Consistency consistency;
  bool mixed = false;  // only table 1 has it, the others are synchronous
  int hot_rows = 0;    // with them each commit evaluates
  NetworkFaults faults;

  Consistency Of(size_t table) const { return mixed && table != 1 ? Consistency() : consistency; }
  // Long ones end the first attempt; the job then starts again from its last commit.
  enum Trouble { kNone, kShortPartition, kLongPartition, kWorkerDies, kServerDies } trouble = kNone;
  int64_t trouble_ns = 0;

  bool may_fail() const { return trouble == kLongPartition || trouble == kWorkerDies || trouble == kServerDies; }
  std::string ToString() const {
    return fmt::format(
        "seed {}: {} workers, {} servers, {} steps, staleness {}, async {}, mixed {}, hot {}, ahead {}, drop {}, twice "
        "{}, reorder {}, "
        "damage {}, break {}, trouble {} at {} ms",
        seed, workers, servers, steps, consistency.staleness, consistency.async, mixed, hot_rows, ahead, faults.drop,
        faults.twice, faults.reorder, faults.damage, faults.break_connection, static_cast<int>(trouble),
        trouble_ns / kNanosPerMilli);
  }
};

Plan MakePlan(uint64_t seed) {
  uint64_t draw = 0;
  const auto next = [&](uint64_t bound) {
    return static_cast<int64_t>(BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, 97, draw++), bound));
  };
  Plan plan;
  plan.seed = seed;
  plan.workers = static_cast<int>(1 + next(3));
  plan.servers = static_cast<int>(1 + next(3));
  plan.steps = 4 + next(6);
  plan.commit_every = next(2) == 0 ? 0 : 2 + next(3);
  if (next(3) == 0) plan.consistency.staleness = static_cast<int>(1 + next(3));
  if (plan.consistency.staleness == 0 && next(5) == 0) plan.consistency.async = true;
  plan.mixed = next(3) == 0;
  plan.ahead = static_cast<int>(1 + next(3));
  const double rates[] = {0, 0.01, 0.03};
  plan.faults.drop = rates[next(3)];
  plan.faults.twice = rates[next(3)];
  plan.faults.reorder = rates[next(3)];
  plan.faults.damage = rates[next(3)] / 2;
  plan.faults.break_connection = rates[next(3)] / 2;
  plan.faults.latency_max_ns = next(2) == 0 ? kNanosPerMilli : 30 * kNanosPerMilli;
  const Plan::Trouble troubles[] = {Plan::kNone,          Plan::kNone,       Plan::kShortPartition,
                                    Plan::kLongPartition, Plan::kWorkerDies, Plan::kServerDies};
  plan.trouble = troubles[next(6)];
  plan.trouble_ns = kNanosPerSecond + next(400) * kNanosPerMilli;
  if (next(2) == 0) plan.hot_rows = static_cast<int>(1 + next(12));
  return plan;
}

// In synchronous mode the bits of every row at every step are held to one process; in the others, where the order of
// pushes is open, gradients are small integers and rows their exact sums.
std::vector<TableSpec> PlanTables(const Plan& plan) {
  std::vector<TableSpec> tables = TestTables();
  for (size_t t = 0; t < tables.size(); ++t) {
    TableSpec& table = tables[t];
    table.consistency = plan.Of(t);
    if (table.consistency.synchronous()) continue;
    table.optimizer.Clear();
    table.optimizer.mutable_sgd();
    table.optimizer.set_learning_rate(1);
    table.initializer.mutable_constant()->set_value(0);
    table.layout = MakeRowLayout(table.layout.dim, table.optimizer);
  }
  return tables;
}

std::unique_ptr<StepData> MakeData(const Plan& plan, int64_t step, int worker, std::span<const TableSpec> tables) {
  auto data = std::make_unique<StepData>(plan.seed, step, worker, tables, 12);
  for (size_t t = 0; t < tables.size(); ++t) {
    if (plan.Of(t).synchronous()) continue;
    for (float& gradient : data->gradients[t]) gradient = static_cast<float>(static_cast<int>(gradient * 16));
  }
  return data;
}

// Of a few keys, which come again.
constexpr int kEvaluations = 5;
std::unique_ptr<StepData> MakeEvaluation(const Plan& plan, int64_t step, int worker, int batch,
                                         std::span<const TableSpec> tables) {
  return MakeData(plan, step + batch % 2, worker, tables);
}

// What one process makes of the job.
class Oracle {
 public:
  Oracle(const Plan& plan, std::span<const TableSpec> tables)
      : plan_(plan), specs_(tables.begin(), tables.end()), tables_(specs_, kShards) {}

  // Rows as the pulls of step `step` read them, by worker.
  void AdvanceTo(int64_t step) {
    while (applied_ < step - 1) {
      ++applied_;
      std::vector<std::unique_ptr<StepData>> data;
      std::vector<std::vector<TablePush>> pushes;
      for (int w = 0; w < plan_.workers; ++w) {
        data.push_back(MakeData(plan_, applied_, w, specs_));
        std::erase_if(data.back()->pushes, [](const TablePush& push) { return push.keys.empty(); });
        pushes.push_back(data.back()->pushes);
      }
      CHECK(tables_.Apply(applied_, pushes).ok());
    }
  }
  std::vector<std::vector<float>> Rows(int64_t step, int worker) {
    auto data = MakeData(plan_, step, worker, specs_);
    for (const TablePull& pull : data->pulls) {
      CHECK(tables_.Pull(step, PullKind::kTraining, pull.table, pull.keys, pull.rows).ok());
    }
    return data->rows;
  }
  // And as one of its evaluation pulls reads them.
  std::vector<std::vector<float>> Evaluated(int64_t step, int worker, int batch) {
    auto data = MakeEvaluation(plan_, step, worker, batch, specs_);
    for (const TablePull& pull : data->pulls) {
      CHECK(tables_.Pull(step, PullKind::kEvaluation, pull.table, pull.keys, pull.rows).ok());
    }
    return data->rows;
  }
  SavedRows AllRows() {
    MemoryRowFiles files;
    CHECK(files.Write(tables_, {0, kShards}, "all", "oracle", [] {}).ok());
    return files.Rows("all");
  }

 private:
  const Plan& plan_;
  const std::vector<TableSpec> specs_;
  TableSet tables_;
  int64_t applied_ = 0;
};

// A job that is started, and started again, until it is done.
class Simulation {
 public:
  explicit Simulation(const Plan& plan)
      : plan_(plan), tables_(PlanTables(plan)), time_(plan.seed), network_(&time_, plan.faults) {
    Oracle oracle(plan_, tables_);
    for (int64_t step = 1; step <= plan_.steps; ++step) {
      oracle.AdvanceTo(step);
      for (int w = 0; w < plan_.workers; ++w) expected_[{step, w}] = oracle.Rows(step, w);
    }
    if (plan_.hot_rows == 0) return;
    Oracle evaluations(plan_, tables_);
    for (int64_t step = 2; step <= plan_.steps + 1; ++step) {
      evaluations.AdvanceTo(step);
      for (int w = 0; w < plan_.workers; ++w) {
        for (int batch = 0; batch < 2; ++batch) {
          evaluated_[{step, w, batch}] = evaluations.Evaluated(step, w, batch);
        }
      }
    }
  }

  // What went wrong; empty if nothing did.
  std::string Run() {
    for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
      RunAttempt(attempt);
      if (!wrong_.empty() || done_) break;
      if (!plan_.may_fail()) return Wrong("an attempt failed, and nothing called for it: " + failure_);
      if (attempt > 1) return Wrong("an attempt failed after the trouble was over: " + failure_);
      network_.Heal();
    }
    if (wrong_.empty() && !done_) Wrong("never done: " + failure_);
    if (wrong_.empty()) CheckRows();
    return wrong_;
  }
  int64_t events() const { return time_.events_run(); }
  int64_t keys_from_cache() const { return keys_from_cache_; }

 private:
  struct Attempt {
    std::vector<std::unique_ptr<Server>> servers;
    std::vector<std::shared_ptr<SimulatedTransport>> server_transports, worker_transports;
    std::vector<ServerAddress> addresses;
    std::vector<int64_t> at_barrier;
    std::vector<Status> results;
    int64_t begin_step = 0;
    int failed = 0;
    int workers_left = 0;
  };

  std::string Wrong(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
    return wrong_;
  }
  static std::string Host(const char* role, int index, int attempt) {
    return fmt::format("{}-{}-{}", role, index, attempt);
  }

  void StartServers(Attempt* attempt, int number, const JobToken& token) {
    for (int i = 0; i < plan_.servers; ++i) {
      auto transport = std::make_shared<SimulatedTransport>(&network_, Host("server", i, number), token, 1 << 20);
      ServerOptions options = TestServerOptions(i, plan_.servers, plan_.workers, &files_);
      options.token = token;
      options.port = 4000 + i;
      options.silence_ns = kSilenceNanos;
      options.progress_ns = kProgressNanos;
      options.tables = tables_;
      options.transport = transport;
      options.rows_on_transport = true;
      auto server = Server::Start(std::move(options));
      CHECK(server.ok()) << server.status().ToString();
      attempt->addresses.push_back((*server)->address());
      attempt->servers.push_back(std::move(*server));
      attempt->server_transports.push_back(transport);
      transports_.push_back(transport);
    }
  }

  void RunAttempt(int number) {
    Attempt attempt;
    JobToken token = kToken;
    token[0] = static_cast<uint8_t>(number);
    StartServers(&attempt, number, token);
    attempt.at_barrier.assign(plan_.workers, 0);
    attempt.results.resize(plan_.workers);
    attempt.workers_left = plan_.workers;
    attempt.begin_step = committed_step_;
    failure_.clear();
    std::vector<Status> ends(plan_.servers);
    for (int w = 0; w < plan_.workers; ++w) {
      auto transport = std::make_shared<SimulatedTransport>(&network_, Host("worker", w, number), token, 1 << 20);
      attempt.worker_transports.push_back(transport);
      transports_.push_back(transport);
      time_.AddRank(Host("worker", w, number), [this, &attempt, w, token] {
        attempt.results[w] = RunWorker(&attempt, w, token);
        if (!attempt.results[w].ok()) ++attempt.failed;
        --attempt.workers_left;
      });
    }
    for (int i = 0; i < plan_.servers; ++i) {
      time_.AddRank(Host("server", i, number), [&attempt, &ends, i] {
        ends[i] = attempt.servers[i]->Wait();
        attempt.servers[i]->Stop();
      });
    }
    if (number == 1) PlanTrouble(&attempt);
    const int64_t begin_ns = time_.SteadyNanos();
    if (!time_.Run(begin_ns + kAttemptNanosMax, kEventsMax)) {
      Wrong(fmt::format("still running after {:.1f} s and {} events: {}",
                        static_cast<double>(time_.SteadyNanos() - begin_ns) / kNanosPerSecond, time_.events_run(),
                        time_.Unended()));
      LOG(FATAL) << plan_.ToString() << ": " << wrong_;  // its ranks cannot be ended
    }
    for (const Status& status : attempt.results) {
      if (!status.ok() && failure_.empty()) failure_ = status.ToString();
    }
    for (const Status& status : ends) {
      if (!status.ok() && failure_.empty()) failure_ = status.ToString();
    }
    done_ = failure_.empty();
    if (done_ && network_.frames_held_max() > kFramesHeldMax) {
      Wrong(fmt::format("{} frames were held at once", network_.frames_held_max()));
    }
  }

  void PlanTrouble(Attempt* attempt) {
    const int worker = static_cast<int>(time_.Random(plan_.workers));
    const int server = static_cast<int>(time_.Random(plan_.servers));
    switch (plan_.trouble) {
      case Plan::kNone:
        return;
      case Plan::kShortPartition:
      case Plan::kLongPartition: {
        time_.At(plan_.trouble_ns,
                 [this, worker, server] { network_.Cut(Host("worker", worker, 1), Host("server", server, 1)); });
        const int64_t length_ns = plan_.trouble == Plan::kShortPartition ? kSilenceNanos / 4 : 3 * kSilenceNanos;
        return time_.At(plan_.trouble_ns + length_ns, [this] { network_.Heal(); });
      }
      case Plan::kWorkerDies:
        return time_.At(plan_.trouble_ns, [transport = attempt->worker_transports[worker]] { transport->Die(); });
      case Plan::kServerDies:
        return time_.At(plan_.trouble_ns, [transport = attempt->server_transports[server]] { transport->Die(); });
    }
  }

  // All workers of the attempt, or an error if one has failed.
  Status Barrier(Attempt* attempt, int worker) {
    const int64_t mine = ++attempt->at_barrier[worker];
    while (std::ranges::any_of(attempt->at_barrier, [&](int64_t at) { return at < mine; })) {
      if (attempt->failed > 0) return Aborted("another worker failed");
      time_.SleepNanos(kNanosPerMilli);
    }
    return Status();
  }

  Status RunWorker(Attempt* attempt, int worker, const JobToken& token) {
    RemoteStoreOptions options = TestStoreOptions(worker, plan_.workers, attempt->addresses);
    options.token = token;
    options.silence_ns = kSilenceNanos;
    options.progress_ns = kProgressNanos;
    options.tables = tables_;
    options.clock = &time_;
    options.hot_rows = {.rows_max = plan_.hot_rows, .age_steps = 2, .window_pulls = 2};
    options.transport = attempt->worker_transports[worker];
    auto connected = RemoteStore::Connect(options);
    if (!connected.ok()) return connected.status();
    RemoteStore* store = connected->get();
    Status status = Train(attempt, worker, store);
    if (status.ok()) status = Barrier(attempt, worker);
    if (status.ok() && worker == 0) status = store->Shutdown();
    if (!status.ok()) {
      store->Abort(status);
    } else if (worker != 0) {
      // As in a job: no store goes before the servers have ended.
      for (int i = 0; i < 100 && attempt->workers_left == plan_.workers; ++i) time_.SleepNanos(20 * kNanosPerMilli);
    }
    return status;
  }

  Status Train(Attempt* attempt, int worker, RemoteStore* store) {
    if (attempt->begin_step > 0) {
      if (worker == 0) WEIR_RETURN_IF_ERROR(store->Load(attempt->begin_step, committed_, files_.FilesOf(committed_)));
      WEIR_RETURN_IF_ERROR(Barrier(attempt, worker));
    }
    std::map<int64_t, std::pair<std::unique_ptr<StepData>, PullTicket>> ahead;
    int64_t next = attempt->begin_step + 1;
    for (int64_t step = next; step <= plan_.steps; ++step) {
      for (; next <= std::min(step + plan_.ahead, plan_.steps); ++next) {
        auto data = MakeData(plan_, next, worker, tables_);
        WEIR_ASSIGN_OR_RETURN(const PullTicket ticket, store->StartPull(next, PullKind::kTraining, data->pulls));
        ahead[next] = {std::move(data), ticket};
      }
      const auto& [data, ticket] = ahead[step];
      WEIR_RETURN_IF_ERROR(store->FinishPull(ticket));
      for (size_t t = 0; t < tables_.size(); ++t) {
        if (!plan_.Of(t).synchronous() || data->rows[t] == expected_[{step, worker}][t]) continue;
        Wrong(fmt::format("worker {} read other rows of table {} at step {}", worker, t, step));
      }
      time_.SleepNanos(static_cast<int64_t>(time_.Random(100)) * kNanosPerMilli);
      WEIR_RETURN_IF_ERROR(store->Push(step, data->pushes));
      ahead.erase(step);
      if (plan_.commit_every > 0 && step % plan_.commit_every == 0)
        WEIR_RETURN_IF_ERROR(Commit(attempt, worker, store, step));
    }
    WEIR_RETURN_IF_ERROR(store->Drain(plan_.steps));
    WEIR_RETURN_IF_ERROR(Commit(attempt, worker, store, plan_.steps));
    if (plan_.hot_rows == 0) return Status();
    WEIR_ASSIGN_OR_RETURN(const StoreStats stats, store->Stats());
    keys_from_cache_ += stats.keys_from_cache;
    return Status();
  }

  Status Commit(Attempt* attempt, int worker, RemoteStore* store, int64_t step) {
    WEIR_RETURN_IF_ERROR(store->Drain(step));
    WEIR_RETURN_IF_ERROR(Barrier(attempt, worker));
    if (worker == 0) {
      const std::string folder = fmt::format("step-{}-{}", step, commits_++);
      WEIR_RETURN_IF_ERROR(store->Save(step, folder).status());
      committed_step_ = step;
      committed_ = folder;
    }
    if (plan_.hot_rows > 0) WEIR_RETURN_IF_ERROR(Evaluate(worker, store, step + 1));
    return Barrier(attempt, worker);
  }

  // Every worker's pushes are in the rows, and nobody goes on before all have evaluated: in each mode every bit is
  // known.
  Status Evaluate(int worker, RemoteStore* store, int64_t step) {
    for (int batch = 0; batch < kEvaluations; ++batch) {
      auto data = MakeEvaluation(plan_, step, worker, batch, tables_);
      WEIR_RETURN_IF_ERROR(store->Pull(step, PullKind::kEvaluation, data->pulls));
      if (data->rows != evaluated_[{step, worker, batch % 2}]) {
        Wrong(fmt::format("worker {} read other rows in evaluation {} after step {}", worker, batch, step - 1));
      }
    }
    return Status();
  }

  bool IsSynchronous(const std::string& name) const {
    return std::ranges::find(tables_, name, &TableSpec::name)->consistency.synchronous();
  }

  void CheckRows() {
    Oracle oracle(plan_, tables_);
    oracle.AdvanceTo(plan_.steps + 1);
    const SavedRows expected = oracle.AllRows(), found = files_.Rows(committed_);
    if (expected.size() != found.size()) {
      Wrong(fmt::format("{} rows instead of {}", found.size(), expected.size()));
      return;
    }
    for (const auto& [key, row] : expected) {
      const auto other = found.find(key);
      const bool same = other != found.end() && other->second.count == row.count &&
                        other->second.values == row.values &&
                        (!IsSynchronous(key.first) || other->second.last_step == row.last_step);
      if (!same) Wrong(fmt::format("table {} key {:x}: another row", key.first, key.second));
    }
  }

  // Each worker and server may have 16 steps of pulls and pushes under way, and heartbeats.
  static constexpr size_t kFramesHeldMax = 400;

  const Plan plan_;
  const std::vector<TableSpec> tables_;
  SimulatedTime time_;
  SimulatedNetwork network_;
  MemoryRowFiles files_;
  std::vector<std::shared_ptr<SimulatedTransport>> transports_;
  std::map<std::pair<int64_t, int>, std::vector<std::vector<float>>> expected_;         // rows by (step, worker)
  std::map<std::tuple<int64_t, int, int>, std::vector<std::vector<float>>> evaluated_;  // by (step, worker, batch)
  int64_t keys_from_cache_ = 0;
  int64_t committed_step_ = 0;
  std::string committed_;
  int commits_ = 0;
  bool done_ = false;
  std::string failure_;
  std::string wrong_;
};

#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t kSeeds = 200;
#elif defined(__SANITIZE_THREAD__)
constexpr int64_t kSeeds = 0;  // one thread, whose changes of stacks the sanitizer does not see
#else
constexpr int64_t kSeeds = 5000;
#endif

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

// A quarter of the seeds each: one that fails for good leaves the others to run.
void RunSeeds(int quarter) {
  if (FromEnvironment("WEIR_SIMULATION_LOG", 0) == 0)
    FLAGS_minloglevel = google::GLOG_FATAL;  // broken connections are what this is about
  const int64_t seeds = FromEnvironment("WEIR_SIMULATION_SEEDS", kSeeds);
  const int64_t first = FromEnvironment("WEIR_SIMULATION_FIRST", 1);
  int64_t events = 0, failed = 0, keys_from_cache = 0;
  for (int64_t seed = first + quarter; seed < first + seeds; seed += 4) {
    const Plan plan = MakePlan(seed);
    Simulation simulation(plan);
    const std::string wrong = simulation.Run();
    events += simulation.events();
    keys_from_cache += simulation.keys_from_cache();
    if (!wrong.empty()) ADD_FAILURE() << plan.ToString() << ": " << wrong;
    if (!wrong.empty() && ++failed >= 10) break;
  }
  std::printf("%ld events, %ld keys from the cache\n", static_cast<long>(events), static_cast<long>(keys_from_cache));
  // A few seeds may have none.
  if (seeds >= 100) {
    EXPECT_GT(keys_from_cache, seeds);
  }
}

TEST(SimulationTest, FirstQuarter) { RunSeeds(0); }
TEST(SimulationTest, SecondQuarter) { RunSeeds(1); }
TEST(SimulationTest, ThirdQuarter) { RunSeeds(2); }
TEST(SimulationTest, FourthQuarter) { RunSeeds(3); }

}  // namespace
}  // namespace weir::testing
