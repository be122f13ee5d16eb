// Steps whose messages take a millisecond longer: what is left of the rate of the slowest stage alone.
#include <sys/prctl.h>

#include <barrier>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/relay.h"
#include "bench/wire_bench.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"

namespace weir::bench {
namespace {

constexpr int kWorkers = 2;
constexpr int kDim = 16;
constexpr size_t kKeys = 2048;  // of a worker's step: 128 KiB of rows and of gradients
constexpr uint64_t kRows = 100'000;
constexpr int64_t kWarmUpSteps = 20;
constexpr int64_t kSteps = 250;  // of a round, behind the warm-up
// The slowest stage: a net that another device computes.
constexpr std::chrono::nanoseconds kCompute{4'000'000};
constexpr int64_t kDelayNs = kNanosPerMilli;
constexpr JobToken kToken = {4, 5, 6};

TableSpec MakeTable() {
  TableSpec table;
  table.name = std::string("rows");
  table.optimizer.mutable_sgd();
  table.initializer.mutable_constant()->set_value(0.5);
  table.layout = MakeRowLayout(kDim, table.optimizer);
  return table;
}

// What the dense net's all-reduce does to workers: none is a step ahead of the other.
using StepBarrier = std::barrier<>;

void Compute(StepBarrier* barrier) {
  barrier->arrive_and_wait();
  std::this_thread::sleep_for(kCompute);
}

// As TrainingStep goes about it: `ahead` pulls are under way while a step is computed. It takes more than one only as
// the wait for rows calls for, here the number stands.
class Worker {
 public:
  Worker(int worker, int ahead, RemoteStore* store, StepBarrier* barrier)
      : worker_(worker), ahead_(ahead), store_(store), barrier_(barrier), slots_(ahead + 1) {
    for (Slot& slot : slots_) slot.rows.resize(kKeys * kDim);
    gradients_.resize(kKeys * kDim, 0.001f);
  }

  // Nanoseconds a step.
  double Run() {
    constexpr int64_t kLast = kWarmUpSteps + kSteps;
    for (int64_t step = 1; step <= ahead_; ++step) StartPull(step);
    int64_t begin_ns = 0;
    for (int64_t step = 1; step <= kLast; ++step) {
      if (step == kWarmUpSteps + 1) begin_ns = SystemClock().SteadyNanos();
      Slot& slot = slots_[step % slots_.size()];
      Must(store_->FinishPull(slot.ticket));
      if (step + ahead_ <= kLast) StartPull(step + ahead_);
      Compute(barrier_);
      const TablePush push = {0, slot.keys, gradients_.data()};
      Must(store_->Push(step, std::span(&push, 1)));
    }
    Must(store_->Drain(kLast));
    return static_cast<double>(SystemClock().SteadyNanos() - begin_ns) / kSteps;
  }

 private:
  struct Slot {
    PullTicket ticket = 0;
    std::vector<uint64_t> keys;
    std::vector<float> rows;
  };

  // Distinct keys, whose first is the step's own.
  void StartPull(int64_t step) {
    Slot& slot = slots_[step % slots_.size()];
    slot.keys.clear();
    const uint64_t first = SplitMix64(static_cast<uint64_t>(step * kWorkers + worker_)) % kRows;
    for (uint64_t i = 0; i < kKeys; ++i) slot.keys.push_back(SplitMix64((first + i) % kRows));
    const TablePull pull = {0, slot.keys, slot.rows.data()};
    slot.ticket = Must(store_->StartPull(step, PullKind::kTraining, std::span(&pull, 1)));
  }

  const int worker_;
  const int64_t ahead_;
  RemoteStore* const store_;
  StepBarrier* const barrier_;
  std::vector<Slot> slots_;
  std::vector<float> gradients_;
};

// Runs a function for each worker on a thread of its own; the greatest result.
template <typename Work>
double OnWorkers(Work&& work) {
  std::vector<double> results(kWorkers);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      prctl(PR_SET_TIMERSLACK, 1);
      results[worker] = work(worker);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(results.begin(), results.end());
}

double StageAlone() {
  StepBarrier barrier(kWorkers);
  return OnWorkers([&](int) {
    for (int64_t step = 0; step < kWarmUpSteps; ++step) Compute(&barrier);
    const int64_t begin_ns = SystemClock().SteadyNanos();
    for (int64_t step = 0; step < kSteps; ++step) Compute(&barrier);
    return static_cast<double>(SystemClock().SteadyNanos() - begin_ns) / kSteps;
  });
}

struct Mode {
  const char* name;
  int staleness = 0;
  int ahead = 1;  // pulls under way while a step is computed; a training step has 1 to max(1, staleness)
  int64_t delay_ns = 0;
  bool has_target = false;
};

double WithServer(const Mode& mode) {
  TableSpec table = MakeTable();
  table.consistency.staleness = mode.staleness;
  ServerOptions server_options;
  server_options.num_workers = kWorkers;
  server_options.token = kToken;
  server_options.tables = {table};
  const auto server = Must(Server::Start(std::move(server_options)));
  Relay relay(server->address(), mode.delay_ns);
  StepBarrier barrier(kWorkers);
  std::vector<std::unique_ptr<RemoteStore>> stores(kWorkers);
  const double ns = OnWorkers([&](int worker) {
    RemoteStoreOptions options;
    options.worker = worker;
    options.num_workers = kWorkers;
    options.servers = {relay.address()};
    options.token = kToken;
    options.tables = {table};
    stores[worker] = Must(RemoteStore::Connect(std::move(options)));
    return Worker(worker, mode.ahead, stores[worker].get(), &barrier).Run();
  });
  Must(stores[0]->Shutdown());
  stores.clear();
  Must(server->Wait());
  return ns;
}

}  // namespace

void StalenessBench() {
  constexpr Mode kModes[] = {{"0_without_delay", 0, 1, 0},
                             {"0_with_1ms", 0, 1, kDelayNs},
                             {"1_with_1ms", 1, 1, kDelayNs},
                             {"2_with_1ms_one_ahead", 2, 1, kDelayNs, /*has_target=*/true},
                             {"2_with_1ms_two_ahead", 2, 2, kDelayNs, /*has_target=*/true}};
  Rounds alone;
  std::vector<Rounds> rounds(std::size(kModes));
  for (int round = 0; round < kRounds; ++round) {
    alone.Add(StageAlone());
    for (size_t i = 0; i < std::size(kModes); ++i) rounds[i].Add(WithServer(kModes[i]));
  }
  PrintLine("staleness", "stage_alone", "ns/step", alone, "", nullptr);
  for (size_t i = 0; i < std::size(kModes); ++i) {
    const Mode& mode = kModes[i];
    PrintLine("staleness", mode.name, "ns/step", rounds[i], mode.has_target ? "stage_alone" : "",
              mode.has_target ? &alone : nullptr);
  }
}

}  // namespace weir::bench
