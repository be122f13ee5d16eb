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

#include "tests/param_server/simulated_job.h"
#include "tests/param_server/simulated_network.h"

namespace weir::testing {
namespace {

constexpr int64_t kSilenceNanos = 8 * kNanosPerSecond;
constexpr int64_t kProgressNanos = 20 * kNanosPerSecond;
// A job that fails has ended everywhere this long after the last rank could still make progress.
constexpr int64_t kAttemptNanosMax = 120 * kNanosPerSecond;
constexpr int64_t kEventsMax = 200'000;
constexpr int kAttemptsMax = 8;
constexpr int kEvaluations = 5;
// The longest that a call of the store may take: what it waits for must make progress, and the last to learn of a
// failure hears of it from a server that was not heard for `silence` itself.
constexpr int64_t kCallNanosMax = kProgressNanos + kSilenceNanos + 2 * kNanosPerSecond;

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
  int64_t longest_call_ns() const { return longest_call_ns_; }

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

  // What the call returns; wrong if it waited past its deadline.
  template <class Call>
  auto InTime(const char* name, const Call& call) {
    const int64_t begin_ns = time_.SteadyNanos();
    auto result = call();
    const int64_t took_ns = time_.SteadyNanos() - begin_ns;
    longest_call_ns_ = std::max(longest_call_ns_, took_ns);
    if (took_ns > kCallNanosMax) {
      Wrong(fmt::format("{} took {:.1f} s", name, static_cast<double>(took_ns) / kNanosPerSecond));
    }
    return result;
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
    auto connected = InTime("Connect", [&] { return RemoteStore::Connect(options); });
    if (!connected.ok()) return connected.status();
    RemoteStore* store = connected->get();
    Status status = Train(attempt, worker, store);
    if (status.ok()) status = Barrier(attempt, worker);
    if (status.ok() && worker == 0) status = InTime("Shutdown", [&] { return store->Shutdown(); });
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
      if (worker == 0) {
        WEIR_RETURN_IF_ERROR(
            InTime("Load", [&] { return store->Load(attempt->begin_step, committed_, files_.FilesOf(committed_)); }));
      }
      WEIR_RETURN_IF_ERROR(Barrier(attempt, worker));
    }
    std::map<int64_t, std::pair<std::unique_ptr<StepData>, PullTicket>> ahead;
    int64_t next = attempt->begin_step + 1;
    for (int64_t step = next; step <= plan_.steps; ++step) {
      for (; next <= std::min(step + plan_.ahead, plan_.steps); ++next) {
        auto data = MakeData(plan_, next, worker, tables_);
        WEIR_ASSIGN_OR_RETURN(const PullTicket ticket, InTime("StartPull", [&] {
                                return store->StartPull(next, PullKind::kTraining, data->pulls);
                              }));
        ahead[next] = {std::move(data), ticket};
      }
      const auto& [data, ticket] = ahead[step];
      WEIR_RETURN_IF_ERROR(InTime("FinishPull", [&] { return store->FinishPull(ticket); }));
      for (size_t t = 0; t < tables_.size(); ++t) {
        if (!plan_.Of(t).synchronous() || data->rows[t] == expected_[{step, worker}][t]) continue;
        Wrong(fmt::format("worker {} read other rows of table {} at step {}", worker, t, step));
      }
      time_.SleepNanos(static_cast<int64_t>(time_.Random(100)) * kNanosPerMilli);
      WEIR_RETURN_IF_ERROR(InTime("Push", [&] { return store->Push(step, data->pushes); }));
      ahead.erase(step);
      if (plan_.commit_every > 0 && step % plan_.commit_every == 0)
        WEIR_RETURN_IF_ERROR(Commit(attempt, worker, store, step));
    }
    WEIR_RETURN_IF_ERROR(InTime("Drain", [&] { return store->Drain(plan_.steps); }));
    WEIR_RETURN_IF_ERROR(Commit(attempt, worker, store, plan_.steps));
    if (plan_.hot_rows == 0) return Status();
    WEIR_ASSIGN_OR_RETURN(const StoreStats stats, InTime("Stats", [&] { return store->Stats(); }));
    keys_from_cache_ += stats.keys_from_cache;
    return Status();
  }

  Status Commit(Attempt* attempt, int worker, RemoteStore* store, int64_t step) {
    WEIR_RETURN_IF_ERROR(InTime("Drain", [&] { return store->Drain(step); }));
    WEIR_RETURN_IF_ERROR(Barrier(attempt, worker));
    if (worker == 0) {
      const std::string folder = fmt::format("step-{}-{}", step, commits_++);
      WEIR_RETURN_IF_ERROR(InTime("Save", [&] { return store->Save(step, folder).status(); }));
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
      WEIR_RETURN_IF_ERROR(InTime("Pull", [&] { return store->Pull(step, PullKind::kEvaluation, data->pulls); }));
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
  int64_t longest_call_ns_ = 0;
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
  int64_t events = 0, failed = 0, keys_from_cache = 0, longest_call_ns = 0;
  for (int64_t seed = first + quarter; seed < first + seeds; seed += 4) {
    const Plan plan = MakePlan(seed);
    Simulation simulation(plan);
    const std::string wrong = simulation.Run();
    events += simulation.events();
    keys_from_cache += simulation.keys_from_cache();
    longest_call_ns = std::max(longest_call_ns, simulation.longest_call_ns());
    if (!wrong.empty()) ADD_FAILURE() << plan.ToString() << ": " << wrong;
    if (!wrong.empty() && ++failed >= 10) break;
  }
  fmt::print("{} events, {} keys from the cache, longest call {:.1f} s\n", events, keys_from_cache,
             static_cast<double>(longest_call_ns) / kNanosPerSecond);
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
