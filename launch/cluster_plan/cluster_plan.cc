#include "launch/cluster_plan/cluster_plan.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "batch/feature.h"
#include "data_loader/loader.h"
#include "embeddings/virtual_shard.h"
#include "launch/table_memory.h"
#include "launch/table_report/table_statistics.h"
#include "launch/table_sim/step_keys.h"
#include "param_server/client/key_partition.h"
#include "param_server/row_messages.h"

namespace weir {
namespace {

constexpr size_t kHottest = 10;
// No count of a table is further off than a 4096th of its values.
constexpr size_t kCounters = 4096;
constexpr int64_t kBatchWaitNs = 60 * kNanosPerSecond;

// What is kept of one table's keys.
struct TableSample {
  TableSample() : hitters(kCounters) {}
  std::vector<uint64_t> keys;  // distinct of each worker and step, one after the other
  HeavyHitters hitters;
};

// The distinct keys of a table by virtual shard.
struct ShardKeys {
  std::vector<int64_t> all;
  std::vector<int64_t> once;  // came in one step of one worker
};

// Sorts `keys`.
ShardKeys CountByShard(std::vector<uint64_t>* keys, int virtual_shards) {
  ShardKeys counts = {std::vector<int64_t>(virtual_shards), std::vector<int64_t>(virtual_shards)};
  std::sort(keys->begin(), keys->end());
  for (size_t begin = 0, end = 0; begin < keys->size(); begin = end) {
    while (end < keys->size() && (*keys)[end] == (*keys)[begin]) ++end;
    const int shard = VirtualShard((*keys)[begin], virtual_shards);
    ++counts.all[shard];
    counts.once[shard] += end - begin == 1;
  }
  return counts;
}

int64_t Sum(const std::vector<int64_t>& counts) {
  int64_t sum = 0;
  for (const int64_t count : counts) sum += count;
  return sum;
}

// Scaled down to `most` in all, in proportion.
void Bound(std::optional<uint64_t> most, std::vector<int64_t>* counts) {
  const int64_t sum = Sum(*counts);
  if (!most || static_cast<uint64_t>(sum) <= *most) return;
  const double share = static_cast<double>(*most) / static_cast<double>(sum);
  for (int64_t& count : *counts) count = static_cast<int64_t>(static_cast<double>(count) * share);
}

class Planner {
 public:
  Planner(const Job& job, const PlanOptions& options)
      : job_(job),
        options_(options),
        num_servers_(job.cluster().servers() > 0 ? job.cluster().servers() : options.workers),
        owners_(num_servers_, job.cluster().virtual_shards()),
        partition_(&owners_),
        formats_(TableFormats(TableSpecsFromJob(job))),
        samples_(job.tables_size()) {}

  Result<ClusterPlan> Run();

 private:
  Status OpenLoaders();
  // The batches of the next step, one per worker; false after the last.
  Result<bool> Next();
  bool IsDone(int64_t begin_ns) const;
  void AddStep();
  void AddMessages(int worker, const std::vector<int>& tables, const std::vector<std::span<const uint64_t>>& keys);
  void Finish();
  void AddTable(int table, const PredictedMemory& memory);
  void AddToServers(const std::vector<int64_t>& shard_rows, const PredictedMemory& memory,
                    std::vector<ServerLoad>* servers) const;

  const Job& job_;
  const PlanOptions& options_;
  const int num_servers_;
  const ShardOwners owners_;
  KeyPartition partition_;
  const std::vector<TableFormat> formats_;
  FeatureSet features_;
  std::unique_ptr<KeyFolder> folder_;
  std::vector<std::unique_ptr<Loader>> loaders_;  // [workers]
  std::vector<StepBatch> batches_;                // [workers]
  std::vector<TableSample> samples_;              // [tables]
  int64_t keys_kept_ = 0;
  ClusterPlan plan_;
};

Status Planner::OpenLoaders() {
  WEIR_ASSIGN_OR_RETURN(features_, FeatureSet::FromJob(job_));
  // The loader has folded them.
  folder_ = std::make_unique<KeyFolder>(features_, job_.tables_size(), std::vector<uint64_t>(job_.features_size()));
  for (int worker = 0; worker < options_.workers; ++worker) {
    LoaderOptions options = TrainingLoaderOptions(job_, worker, options_.workers);
    options.epochs = 1;
    options.wait_ns_max = std::min(options.wait_ns_max, kBatchWaitNs);
    Result<std::unique_ptr<Loader>> loader = Loader::Open(job_, job_.data().train(), options, {});
    if (!loader.ok()) return loader.status().Wrap("data.train");
    loaders_.push_back(std::move(loader).value());
  }
  batches_.resize(loaders_.size());
  plan_.workers.resize(loaders_.size());
  plan_.epoch_rows = loaders_[0]->epoch_rows();
  if (job_.data().shuffle()) plan_.streams = std::max(job_.data().streams(), options_.workers);
  return Status();
}

Result<bool> Planner::Next() {
  for (size_t worker = 0; worker < loaders_.size(); ++worker) {
    Result<bool> more = loaders_[worker]->Next(&batches_[worker]);
    if (!more.ok()) return more.status().Wrap("data.train");
    if (!*more) return false;
  }
  return true;
}

bool Planner::IsDone(int64_t begin_ns) const {
  const auto reached = [](int64_t value, int64_t most) { return most > 0 && value >= most; };
  return reached(plan_.steps, options_.steps_max) || reached(plan_.steps, job_.train().max_steps()) ||
         plan_.rows >= options_.rows_max || keys_kept_ >= options_.keys_max ||
         reached(SystemClock().SteadyNanos() - begin_ns, options_.time_ns_max);
}

void Planner::AddStep() {
  std::vector<const Batch*> batches;
  for (const StepBatch& batch : batches_) batches.push_back(&batch.batch);
  const StepKeys step = folder_->Fold(batches);
  for (size_t w = 0; w < batches.size(); ++w) {
    std::vector<int> tables;
    std::vector<std::span<const uint64_t>> keys;
    for (size_t t = 0; t < samples_.size(); ++t) {
      const WorkerKeys& of_table = step.tables[t][w];
      if (of_table.keys.empty()) continue;
      tables.push_back(static_cast<int>(t));
      keys.push_back(of_table.keys);
      samples_[t].keys.insert(samples_[t].keys.end(), of_table.keys.begin(), of_table.keys.end());
      keys_kept_ += static_cast<int64_t>(of_table.keys.size());
      const int64_t before = samples_[t].hitters.total();
      for (size_t i = 0; i < of_table.keys.size(); ++i) samples_[t].hitters.Add(of_table.keys[i], of_table.values[i]);
      plan_.workers[w].keys += static_cast<int64_t>(of_table.keys.size());
      plan_.workers[w].values += samples_[t].hitters.total() - before;
    }
    plan_.workers[w].samples += batches[w]->num_samples;
    AddMessages(static_cast<int>(w), tables, keys);
  }
  ++plan_.steps;
  plan_.rows += batches_[0].step_rows;
}

void Planner::AddMessages(int worker, const std::vector<int>& tables,
                          const std::vector<std::span<const uint64_t>>& keys) {
  partition_.Split(keys);
  std::vector<TableCount> counts(tables.size());
  for (int server = 0; server < num_servers_; ++server) {
    ServerLoad& load = plan_.servers[server];
    for (size_t i = 0; i < tables.size(); ++i) {
      counts[i] = {tables[i], partition_.count(server, i)};
      load.keys_pulled += partition_.count(server, i);
      load.keys_pushed += partition_.count(server, i);
    }
    if (plan_.colocated && server == worker) continue;
    const StepBytes bytes = BytesOfStep(counts, formats_);
    load.bytes_in += static_cast<int64_t>(bytes.sent);
    load.bytes_out += static_cast<int64_t>(bytes.received);
    plan_.workers[worker].bytes_sent += static_cast<int64_t>(bytes.sent);
    plan_.workers[worker].bytes_received += static_cast<int64_t>(bytes.received);
  }
}

// shard_rows: of one table.
void Planner::AddToServers(const std::vector<int64_t>& shard_rows, const PredictedMemory& memory,
                           std::vector<ServerLoad>* servers) const {
  const int virtual_shards = static_cast<int>(shard_rows.size());
  for (int server = 0; server < num_servers_; ++server) {
    const int begin = ShardBegin(server, num_servers_, virtual_shards);
    const int end = ShardBegin(server + 1, num_servers_, virtual_shards);
    const std::vector<int64_t> mine(shard_rows.begin() + begin, shard_rows.begin() + end);
    const auto share_of = [&](int64_t whole) { return whole * (end - begin) / virtual_shards; };
    const int64_t rows = Sum(mine);
    int64_t bytes = rows * memory.row_bytes + EstimateIndexBytes(mine) + share_of(memory.filter_bytes);
    if (memory.budget_bytes) bytes = std::min(bytes, share_of(*memory.budget_bytes));
    (*servers)[server].rows += rows;
    (*servers)[server].bytes += bytes;
  }
}

void Planner::AddTable(int table, const PredictedMemory& memory) {
  TableSample& sample = samples_[table];
  TablePlan plan;
  plan.table = memory.table;
  plan.values = sample.hitters.total();
  plan.keys = static_cast<int64_t>(sample.keys.size());
  plan.hottest = sample.hitters.Top(kHottest);
  const ShardKeys shards = CountByShard(&sample.keys, job_.cluster().virtual_shards());
  plan.rows = Sum(shards.all);
  AddToServers(shards.all, memory, &plan_.servers);
  const double lengths_left = static_cast<double>(plan_.epoch_rows - plan_.rows) / static_cast<double>(plan_.rows);
  std::vector<int64_t> after = shards.all;
  for (size_t shard = 0; shard < after.size(); ++shard) {
    after[shard] += static_cast<int64_t>(static_cast<double>(shards.once[shard]) * lengths_left);
  }
  Bound(memory.keys_max, &after);
  if (memory.budget_rows) Bound(*memory.budget_rows, &after);
  plan.rows_max = Sum(after);
  AddToServers(after, memory, &plan_.servers_after);
  plan_.tables.push_back(std::move(plan));
}

void Planner::Finish() {
  const std::vector<PredictedMemory> memory = PredictTableMemory(job_);
  for (int table = 0; table < job_.tables_size(); ++table) AddTable(table, memory[table]);
}

Result<ClusterPlan> Planner::Run() {
  const int64_t begin_ns = SystemClock().SteadyNanos();
  plan_.colocated = job_.cluster().servers() == 0;
  plan_.servers.resize(num_servers_);
  plan_.servers_after.resize(num_servers_);
  WEIR_RETURN_IF_ERROR(OpenLoaders());
  while (plan_.steps == 0 || !IsDone(begin_ns)) {
    WEIR_ASSIGN_OR_RETURN(const bool more, Next());
    if (!more) break;
    AddStep();
  }
  Finish();
  return std::move(plan_);
}

}  // namespace

Result<ClusterPlan> PlanCluster(const Job& job, const PlanOptions& options) { return Planner(job, options).Run(); }

}  // namespace weir
