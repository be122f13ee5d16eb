// Plans of data that is short enough to be told by hand: keys are integers taken as they are, in the order of the file.
#include "launch/cluster_plan/cluster_plan.h"

#include <fstream>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data_loader/loader.h"
#include "embeddings/lookup.h"
#include "embeddings/virtual_shard.h"
#include "launch/cluster_plan/plan_views.h"
#include "launch/table_memory.h"
#include "launch/table_report/table_statistics.h"
#include "param_server/row_messages.h"
#include "proto/job_text.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kVirtualShards = 4;

// Two samples a step; table a has dim 2 and travels as bfloat16, table b has dim 3.
class ClusterPlanTest : public ::testing::Test {
 protected:
  // keys: of feature a, then of b, for each sample.
  void Write(const std::vector<std::pair<int, int>>& samples) {
    std::ofstream file(path_);
    file << "label,a,b\n";
    for (const auto& [a, b] : samples) file << "1," << a << "," << b << "\n";
  }

  Job MakeJob(const std::vector<std::string>& overrides = {}) {
    const Result<Job> job = ReadJob("job",
                                    R"(data { label { column: "label" } shuffle: false train { uri: ")" + path_ +
                                        R"(" } }
features { name: "a" sparse { type: INTEGER identity: true table: "a" } }
features { name: "b" sparse { type: INTEGER identity: true table: "b" } }
tables { name: "a" dim: 2 wire { pull: BFLOAT16 push: BFLOAT16 } }
tables { name: "b" dim: 3 }
model { deepfm {} }
train { batch_size: 2 }
cluster { virtual_shards: 4 }
output: "nowhere"
)",
                                    overrides, nullptr);
    CHECK(job.ok()) << job.status().ToString();
    return *job;
  }

  ClusterPlan Plan(const Job& job, const PlanOptions& options = {}) {
    Result<ClusterPlan> plan = PlanCluster(job, options);
    CHECK(plan.ok()) << plan.status().ToString();
    return *std::move(plan);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/data.csv";
};

// Table a: 1 2 | 1 3 | 1 1 | 4 2. Table b: always 9.
const std::vector<std::pair<int, int>> kStream = {{1, 9}, {2, 9}, {1, 9}, {3, 9}, {1, 9}, {1, 9}, {4, 9}, {2, 9}};

// What step pulls of each table at a server: the numbers of keys of a, then of b.
uint64_t Sent(const std::vector<TableFormat>& formats, size_t a, size_t b) {
  const TableCount counts[] = {{0, a}, {1, b}};
  return BytesOfStep(counts, formats).sent;
}

TEST_F(ClusterPlanTest, CountsDistinctKeysOfEachStep) {
  Write(kStream);
  const Job job = MakeJob({"cluster.servers=1"});
  const ClusterPlan plan = Plan(job);
  EXPECT_EQ(plan.steps, 4);
  EXPECT_EQ(plan.rows, 8);
  EXPECT_EQ(plan.epoch_rows, 8);
  ASSERT_EQ(plan.workers.size(), 1u);
  EXPECT_EQ(plan.workers[0].samples, 8);
  EXPECT_EQ(plan.workers[0].values, 16);
  EXPECT_EQ(plan.workers[0].keys, 2 + 2 + 1 + 2 + 4);
  ASSERT_EQ(plan.servers.size(), 1u);
  EXPECT_EQ(plan.servers[0].keys_pulled, 11);
  EXPECT_EQ(plan.servers[0].keys_pushed, 11);
  EXPECT_EQ(plan.servers[0].rows, 5);
  const std::vector<TableFormat> formats = {{2, WireConfig::BFLOAT16, WireConfig::BFLOAT16}, {3}};
  EXPECT_EQ(plan.servers[0].bytes_in, 3 * Sent(formats, 2, 1) + Sent(formats, 1, 1));
  EXPECT_EQ(plan.servers[0].bytes_in, plan.workers[0].bytes_sent);
  EXPECT_EQ(plan.servers[0].bytes_out, 4 * static_cast<int64_t>(kFrameHeaderBytes) + 7 * 4 + 4 * 12);
  EXPECT_EQ(plan.servers[0].bytes_out, plan.workers[0].bytes_received);
  ASSERT_EQ(plan.tables.size(), 2u);
  EXPECT_EQ(plan.tables[0].values, 8);
  EXPECT_EQ(plan.tables[0].keys, 7);
  EXPECT_EQ(plan.tables[0].rows, 4);
  EXPECT_EQ(plan.tables[1].rows, 1);
  ASSERT_EQ(plan.tables[0].hottest.size(), 4u);
  EXPECT_EQ(plan.tables[0].hottest[0].key, 1u);
  EXPECT_EQ(plan.tables[0].hottest[0].count, 4);
  EXPECT_EQ(plan.tables[1].hottest[0].count, 8);
}

// Against each key's shard, one by one.
TEST_F(ClusterPlanTest, KeysGoToTheServerOfTheirShard) {
  Write(kStream);
  const Job job = MakeJob({"cluster.servers=3"});
  const ClusterPlan plan = Plan(job);
  ASSERT_EQ(plan.servers.size(), 3u);
  const std::vector<std::vector<uint64_t>> steps = {{1, 2}, {1, 3}, {1}, {4, 2}};
  const auto server_of = [](uint64_t key) {
    int server = 0;
    while (VirtualShard(key, kVirtualShards) >= ShardBegin(server + 1, 3, kVirtualShards)) ++server;
    return server;
  };
  const std::vector<TableFormat> formats = {{2, WireConfig::BFLOAT16, WireConfig::BFLOAT16}, {3}};
  int64_t sent = 0;
  for (int server = 0; server < 3; ++server) {
    int64_t keys = 0, bytes = 0, rows = server_of(9) == server;
    for (const std::vector<uint64_t>& step : steps) {
      const size_t a = std::ranges::count(step, server, server_of), b = server_of(9) == server;
      keys += static_cast<int64_t>(a + b);
      bytes += static_cast<int64_t>(Sent(formats, a, b));
    }
    for (const uint64_t key : {1, 2, 3, 4}) rows += server_of(key) == server;
    EXPECT_EQ(plan.servers[server].keys_pulled, keys) << server;
    EXPECT_EQ(plan.servers[server].rows, rows) << server;
    EXPECT_EQ(plan.servers[server].bytes_in, bytes) << server;
    sent += bytes;
  }
  EXPECT_EQ(plan.workers[0].bytes_sent, sent);
  EXPECT_GT(Imbalance(plan.servers, &ServerLoad::keys_pulled), 1);
}

TEST_F(ClusterPlanTest, WorkersPullOnTheirOwnAndNotFromTheServerBesideThem) {
  Write(kStream);
  const ClusterPlan plan = Plan(MakeJob(), {.workers = 2});
  EXPECT_TRUE(plan.colocated);
  ASSERT_EQ(plan.servers.size(), 2u);
  ASSERT_EQ(plan.workers.size(), 2u);
  // Each has one sample a step: two keys.
  for (int worker = 0; worker < 2; ++worker) {
    EXPECT_EQ(plan.workers[worker].samples, 4);
    EXPECT_EQ(plan.workers[worker].keys, 8);
    EXPECT_EQ(plan.servers[worker].bytes_in, plan.workers[1 - worker].bytes_sent) << "from the other one alone";
    EXPECT_EQ(plan.servers[worker].bytes_out, plan.workers[1 - worker].bytes_received);
    EXPECT_GT(plan.servers[worker].bytes_in, 0);
  }
  EXPECT_EQ(plan.servers[0].keys_pulled + plan.servers[1].keys_pulled, 16);
  EXPECT_EQ(plan.servers[0].rows + plan.servers[1].rows, 5);
  const ClusterPlan alone = Plan(MakeJob());
  EXPECT_EQ(alone.servers[0].bytes_in + alone.servers[0].bytes_out, 0);
  EXPECT_EQ(alone.servers[0].keys_pulled, 11);
}

TEST_F(ClusterPlanTest, ABoundEndsTheSampleWithItsStep) {
  Write(kStream);
  const Job job = MakeJob();
  EXPECT_EQ(Plan(job, {.steps_max = 3}).steps, 3);
  EXPECT_EQ(Plan(job, {.rows_max = 3}).steps, 2);
  EXPECT_EQ(Plan(job, {.rows_max = 1}).steps, 1) << "at least one";
  EXPECT_EQ(Plan(job, {.keys_max = 4}).steps, 2) << "three keys a step";
  EXPECT_EQ(Plan(job, {.time_ns_max = 1}).steps, 1);
  EXPECT_EQ(Plan(job, {.steps_max = 0, .time_ns_max = 0}).steps, 4) << "an epoch, no more";
  EXPECT_EQ(Plan(MakeJob({"train.epochs=3"})).steps, 4);
  EXPECT_EQ(Plan(MakeJob({"train.max_steps=2"})).steps, 2);
}

TEST_F(ClusterPlanTest, RowsAfterAnEpochGrowByTheKeysThatCameOnce) {
  std::vector<std::pair<int, int>> samples;
  for (int i = 0; i < 4; ++i) samples.insert(samples.end(), kStream.begin(), kStream.end());
  Write(samples);
  const Job job = MakeJob({"cluster.servers=1"});
  const ClusterPlan plan = Plan(job, {.steps_max = 4});
  // Of table a keys 3 and 4 came once, and three times the sample is to come; none of table b.
  EXPECT_EQ(plan.tables[0].rows_max, 4 + 2 * 3);
  EXPECT_EQ(plan.tables[1].rows_max, 1);
  EXPECT_EQ(plan.servers[0].rows, 5);
  EXPECT_EQ(plan.servers_after[0].rows, 11);
  EXPECT_GT(plan.servers_after[0].bytes, plan.servers[0].bytes);
  const std::vector<PredictedMemory> memory = PredictTableMemory(job);
  std::vector<int64_t> shards_of_a(kVirtualShards), shards_of_b(kVirtualShards);
  for (const uint64_t key : {1, 2, 3, 4}) ++shards_of_a[VirtualShard(key, kVirtualShards)];
  ++shards_of_b[VirtualShard(9, kVirtualShards)];
  EXPECT_EQ(plan.servers[0].bytes, 4 * memory[0].row_bytes + EstimateIndexBytes(shards_of_a) + memory[1].row_bytes +
                                       EstimateIndexBytes(shards_of_b));
  // The whole epoch has been seen: nothing is to come.
  const ClusterPlan whole = Plan(job);
  EXPECT_EQ(whole.servers_after[0].rows, whole.servers[0].rows);
  EXPECT_EQ(whole.servers_after[0].bytes, whole.servers[0].bytes);
}

TEST_F(ClusterPlanTest, BucketsAndMemoryBoundWhatAnEpochBrings) {
  std::vector<std::pair<int, int>> samples;
  for (int i = 0; i < 40'000; ++i) samples.emplace_back(i, i);
  Write(samples);
  Job job = MakeJob({"train.batch_size=100", "cluster.servers=2"});
  job.mutable_features(0)->mutable_sparse()->set_buckets(5000);
  job.mutable_tables(1)->set_memory("128KiB");
  const ClusterPlan plan = Plan(job);
  EXPECT_EQ(plan.tables[0].rows, 3200);
  EXPECT_LE(plan.tables[0].rows_max, 5000);
  EXPECT_GE(plan.tables[0].rows_max, 5000 - kVirtualShards);
  const int64_t budget_rows = *PredictTableMemory(job)[1].budget_rows;
  EXPECT_LE(plan.tables[1].rows_max, budget_rows);
  EXPECT_GE(plan.tables[1].rows_max, budget_rows - kVirtualShards);
  const PredictedMemory a = PredictTableMemory(job)[0];
  for (const ServerLoad& server : plan.servers_after) {
    EXPECT_LE(server.bytes, (64 << 10) + 5000 * (a.row_bytes + 64)) << "its half of the memory, and table a";
  }
}

// As the training step finds them.
TEST_F(ClusterPlanTest, SequencesAreCutAsALookupCutsThem) {
  {
    std::ofstream file(path_);
    file << "label,a,b\n";
    for (int i = 0; i < 12; ++i) file << "1," << i % 5 << "|" << i % 3 << "|" << i << "," << i % 2 << "\n";
  }
  const Job job =
      MakeJob({"features[0].sparse.split=|", "features[0].sparse.type=STRING", "features[0].sparse.identity=false",
               "features[0].sparse.pooling=NONE", "features[0].sparse.max_length=2", "train.batch_size=4"});
  const ClusterPlan plan = Plan(job);
  const FeatureSet features = *FeatureSet::FromJob(job);
  Lookup lookup(features, {2, 3});
  auto loader = Loader::Open(job, job.data().train(), TrainingLoaderOptions(job, 0, 1), {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch batch;
  int64_t keys = 0, values = 0;
  while (*(*loader)->Next(&batch)) {
    lookup.Prepare(batch.batch);
    keys += lookup.num_distinct();
    values += lookup.num_values();
  }
  EXPECT_EQ(plan.workers[0].keys, keys);
  EXPECT_EQ(plan.workers[0].values, values);
  EXPECT_EQ(values, 12 * 3);
}

TEST_F(ClusterPlanTest, ErrorsNameTheData) {
  const Status missing = PlanCluster(MakeJob(), {}).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), AllOf(HasSubstr("data.train"), HasSubstr(path_)));
  std::ofstream(path_) << "label,a\n1,2\n";
  EXPECT_EQ(PlanCluster(MakeJob(), {}).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ClusterPlanTest, TextShowsServersWorkersAndTables) {
  Write(kStream);
  const std::string text = PlanText(Plan(MakeJob({"cluster.servers=2"}), {.workers = 2}));
  EXPECT_THAT(text,
              HasSubstr("2 workers on 2 servers, from a sample of the first 4 steps of training: 8 of the 8 rows"));
  for (const char* line : {"\nserver ", "\nmost / mean ", "\nworker ", "\ntable ", "\na  ", "\nb  "}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(PlanText(Plan(MakeJob())),
              HasSubstr("1 worker with the rows beside it, from a sample of the first 4 steps"));
}

TEST_F(ClusterPlanTest, SaysWhichStreamsWouldMakeWorkersAlike) {
  const std::vector<std::pair<int, int>> samples(16 * 9, {1, 2});
  Write(samples);
  const auto text = [&](int workers, std::vector<std::string> overrides) {
    overrides.push_back("train.batch_size=16");
    return PlanText(Plan(MakeJob(overrides), {.workers = workers}));
  };
  EXPECT_THAT(text(3, {"data.shuffle=true"}),
              AllOf(HasSubstr("16 streams over 3 workers: some own 6, and the others wait"),
                    HasSubstr("data.streams=18"), HasSubstr("\nmost / mean           1.125 ")));
  EXPECT_THAT(text(3, {"data.shuffle=true", "data.streams=18"}), Not(HasSubstr("streams over")));
  EXPECT_THAT(text(4, {"data.shuffle=true"}), Not(HasSubstr("streams over")));
  EXPECT_THAT(text(20, {"data.shuffle=true"}), Not(HasSubstr("streams over"))) << "there are as many as workers then";
  EXPECT_THAT(text(3, {"data.shuffle=false"}), Not(HasSubstr("streams over"))) << "samples are dealt one by one";
}

}  // namespace
}  // namespace weir
