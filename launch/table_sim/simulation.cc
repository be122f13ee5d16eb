#include "launch/table_sim/simulation.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/bounded_queue.h"
#include "base/file_system.h"
#include "batch/feature.h"
#include "data_loader/loader.h"
#include "launch/table_sim/collisions.h"
#include "launch/table_sim/step_keys.h"
#include "launch/table_specs.h"

namespace weir {
namespace {

constexpr int64_t kPoints = 200;  // of a policy's curve over time
constexpr size_t kStepsAhead = 4;
// The two sides of a queue live and die together: a wait ends when the other side has its turn.
constexpr int64_t kWaitNs = 1'000'000'000;

// A policy and the thread that replays it.
class PolicyThread {
 public:
  explicit PolicyThread(PolicyRun run) : run_(std::move(run)), queue_(kStepsAhead), thread_([this] { Replay(); }) {}
  ~PolicyThread() { Join(); }

  void Push(int64_t step, std::shared_ptr<const StepKeys> keys) {
    Item item = {step, std::move(keys)};
    while (queue_.Push(item, kWaitNs) == QueueOutcome::kTimedOut) {
    }
  }

  PolicyOutcome Finish() {
    Join();
    return run_.Finish();
  }

 private:
  struct Item {
    int64_t step = 0;
    std::shared_ptr<const StepKeys> keys;
  };

  void Replay() {
    Item item;
    while (true) {
      const QueueOutcome outcome = queue_.Pop(&item, kWaitNs);
      if (outcome == QueueOutcome::kClosed) return;
      if (outcome == QueueOutcome::kDone) run_.Step(item.step, *item.keys);
      item.keys.reset();
    }
  }
  // Ends when all that was pushed is replayed.
  void Join() {
    queue_.Close();
    if (thread_.joinable()) thread_.join();
  }

  PolicyRun run_;  // of thread_ until Join
  BoundedQueue<Item> queue_;
  std::thread thread_;
};

// One way of folding, and the policies that fold so.
struct Folding {
  KeyFolder folder;
  std::vector<PolicyThread*> policies;
  std::vector<Collisions> collisions;  // [tables]
};

class Simulation {
 public:
  Simulation(const Job& job, std::span<const SimPolicy> policies, const SimOptions& options)
      : job_(job), policies_(policies), options_(options) {}

  Result<SimResult> Run();

 private:
  Status OpenLoaders();
  Status StartPolicies();
  // The batches of the next step, one per worker; false after the last.
  Result<bool> Next();
  void ReplayStep(int64_t step);
  void CountCollisions(Folding* folding) const;
  int64_t RowsInAll() const;
  bool IsDone(const SimResult& result) const;
  void AddCollisions(SimResult* result) const;

  const Job& job_;
  const std::span<const SimPolicy> policies_;
  const SimOptions& options_;
  FeatureSet features_;
  std::vector<std::unique_ptr<Loader>> loaders_;  // [workers]
  std::vector<StepBatch> batches_;                // [workers]
  std::vector<Folding> foldings_;
  std::vector<std::unique_ptr<PolicyThread>> threads_;  // [policies]; end before what they read
};

Status Simulation::OpenLoaders() {
  WEIR_ASSIGN_OR_RETURN(features_, FeatureSet::FromJob(job_));
  Job unfolded = job_;
  for (FeatureConfig& feature : *unfolded.mutable_features()) {
    if (feature.has_sparse()) feature.mutable_sparse()->clear_buckets();
  }
  for (int worker = 0; worker < options_.workers; ++worker) {
    Result<std::unique_ptr<Loader>> loader =
        Loader::Open(unfolded, job_.data().train(), TrainingLoaderOptions(unfolded, worker, options_.workers), {});
    if (!loader.ok()) return loader.status().Wrap("data.train");
    loaders_.push_back(std::move(loader).value());
  }
  batches_.resize(loaders_.size());
  return Status();
}

int64_t Simulation::RowsInAll() const {
  int64_t rows = loaders_[0]->epoch_rows() * job_.train().epochs();
  if (options_.rows_max > 0) rows = std::min(rows, options_.rows_max);
  if (job_.train().max_steps() > 0) rows = std::min(rows, job_.train().max_steps() * job_.train().batch_size());
  return rows;
}

Status Simulation::StartPolicies() {
  const int64_t steps = RowsInAll() / job_.train().batch_size() + 1;
  for (const SimPolicy& policy : policies_) {
    const Result<std::vector<TableSpec>> specs = ReadTableSpecs(&LocalFileSystem(), policy.job);
    if (!specs.ok()) return specs.status().Wrap(fmt::format("policy \"{}\"", policy.name));
    threads_.push_back(std::make_unique<PolicyThread>(
        PolicyRun(policy.name, *specs, job_.cluster().virtual_shards(), std::max<int64_t>(1, steps / kPoints))));
    const std::vector<uint64_t> buckets = policy.feature_buckets();
    auto same = [&](const Folding& folding) { return folding.folder.feature_buckets() == buckets; };
    auto folding = std::find_if(foldings_.begin(), foldings_.end(), same);
    if (folding == foldings_.end()) {
      foldings_.push_back(
          {KeyFolder(features_, job_.tables_size(), buckets), {}, std::vector<Collisions>(job_.tables_size())});
      folding = foldings_.end() - 1;
    }
    folding->policies.push_back(threads_.back().get());
  }
  return Status();
}

Result<bool> Simulation::Next() {
  for (size_t worker = 0; worker < loaders_.size(); ++worker) {
    WEIR_ASSIGN_OR_RETURN(bool more, loaders_[worker]->Next(&batches_[worker]));
    if (!more) return false;
  }
  return true;
}

void Simulation::CountCollisions(Folding* folding) const {
  for (const StepBatch& batch : batches_) {
    for (size_t f = 0; f < features_.sparse.size(); ++f) {
      const SparseFeature& feature = features_.sparse[f];
      folding->collisions[feature.table].Add(batch.batch.sparse[f].values,
                                             folding->folder.feature_buckets()[feature.config]);
    }
  }
}

void Simulation::ReplayStep(int64_t step) {
  std::vector<const Batch*> batches;
  for (const StepBatch& batch : batches_) batches.push_back(&batch.batch);
  for (Folding& folding : foldings_) {
    const auto keys = std::make_shared<const StepKeys>(folding.folder.Fold(batches));
    CountCollisions(&folding);
    for (PolicyThread* policy : folding.policies) policy->Push(step, keys);
  }
}

bool Simulation::IsDone(const SimResult& result) const {
  const int64_t steps_max = job_.train().max_steps();
  return (options_.rows_max > 0 && result.rows >= options_.rows_max) || (steps_max > 0 && result.steps >= steps_max);
}

void Simulation::AddCollisions(SimResult* result) const {
  for (const Folding& folding : foldings_) {
    for (int table = 0; table < job_.tables_size(); ++table) {
      const Collisions::Count count = folding.collisions[table].Total();
      for (size_t p = 0; p < policies_.size(); ++p) {
        if (policies_[p].feature_buckets() != folding.folder.feature_buckets()) continue;
        PolicyOutcome& policy = result->policies[p];
        for (TableOutcome* outcome : {&policy.tables[table], &policy.total}) {
          outcome->folded_keys += count.distinct_keys;
          outcome->colliding_keys += count.colliding_keys;
        }
      }
    }
  }
}

Result<SimResult> Simulation::Run() {
  WEIR_RETURN_IF_ERROR(OpenLoaders());
  WEIR_RETURN_IF_ERROR(StartPolicies());
  SimResult result;
  while (!IsDone(result)) {
    WEIR_ASSIGN_OR_RETURN(bool more, Next());
    if (!more) break;
    ReplayStep(++result.steps);
    result.rows += batches_[0].step_rows;
    options_.on_step(result.steps, result.rows, RowsInAll());
  }
  for (const auto& thread : threads_) result.policies.push_back(thread->Finish());
  AddCollisions(&result);
  return result;
}

}  // namespace

Result<SimResult> SimulateTables(const Job& job, std::span<const SimPolicy> policies, const SimOptions& options) {
  return Simulation(job, policies, options).Run();
}

}  // namespace weir
