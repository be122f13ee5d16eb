// The jobs of the simulation, and what one process makes of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "tests/param_server/cluster.h"
#include "tests/param_server/simulated_network.h"

namespace weir::testing {

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

inline Plan MakePlan(uint64_t seed) {
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
inline std::vector<TableSpec> PlanTables(const Plan& plan) {
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

inline std::unique_ptr<StepData> MakeData(const Plan& plan, int64_t step, int worker,
                                          std::span<const TableSpec> tables) {
  auto data = std::make_unique<StepData>(plan.seed, step, worker, tables, 12);
  for (size_t t = 0; t < tables.size(); ++t) {
    if (plan.Of(t).synchronous()) continue;
    for (float& gradient : data->gradients[t]) gradient = static_cast<float>(static_cast<int>(gradient * 16));
  }
  return data;
}

// Of a few keys, which come again.
inline std::unique_ptr<StepData> MakeEvaluation(const Plan& plan, int64_t step, int worker, int batch,
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

}  // namespace weir::testing
