// Replays of key streams that are short enough to be told by hand: keys are integers taken as they are, in the order of
// the file.
#include "launch/table_sim/simulation.h"

#include <fstream>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/table_limits.h"
#include "launch/table_sim/collisions.h"
#include "launch/table_sim/sim_views.h"
#include "proto/job_text.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Two samples a step, on one virtual shard.
class TableSim : public ::testing::Test {
 protected:
  // keys: of feature a, then of b, for each sample.
  void Write(const std::vector<std::pair<int, int>>& samples) {
    std::ofstream file(path_);
    file << "label,a,b\n";
    for (const auto& [a, b] : samples) file << "1," << a << "," << b << "\n";
  }

  Job MakeJob(const std::string& tables, const std::string& more = "") {
    const Result<Job> job =
        ReadJob("job", R"(data { label { column: "label" } shuffle: false train { uri: ")" + path_ + R"(" } }
features { name: "a" sparse { type: INTEGER identity: true table: "a" } }
features { name: "b" sparse { type: INTEGER identity: true table: "b" } }
model { logistic_regression {} }
train { batch_size: 2 }
cluster { virtual_shards: 1 }
output: "nowhere"
)" + tables + more,
                {}, nullptr);
    CHECK(job.ok()) << job.status().ToString();
    return *job;
  }

  SimResult Simulate(const Job& job, const std::vector<std::string>& policies, SimOptions options = {}) {
    const Result<std::vector<SimPolicy>> read = ReadSimPolicies(job, policies, "", "");
    CHECK(read.ok()) << read.status().ToString();
    Result<SimResult> result = SimulateTables(job, *read, options);
    CHECK(result.ok()) << result.status().ToString();
    return *std::move(result);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/data.csv";
  const std::string tables_ = R"(tables { name: "a" dim: 1 } tables { name: "b" dim: 1 })";
};

struct Expected {
  int64_t values, hits, rejected, rows;
};

void ExpectOutcome(const TableOutcome& outcome, const Expected& expected) {
  EXPECT_EQ(outcome.counts.values, expected.values) << outcome.table;
  EXPECT_EQ(outcome.counts.hits, expected.hits) << outcome.table;
  EXPECT_EQ(outcome.counts.rejected, expected.rejected) << outcome.table;
  EXPECT_EQ(outcome.rows, expected.rows) << outcome.table;
}

// Table a: 1 2 | 1 3 | 1 1 | 4 2. Table b: always 9.
const std::vector<std::pair<int, int>> kStream = {{1, 9}, {2, 9}, {1, 9}, {3, 9}, {1, 9}, {1, 9}, {4, 9}, {2, 9}};

TEST_F(TableSim, WithoutAPolicyEachKeyMissesOnce) {
  Write(kStream);
  const SimResult result = Simulate(MakeJob(tables_), {});
  EXPECT_EQ(result.steps, 4);
  EXPECT_EQ(result.rows, 8);
  ASSERT_EQ(result.policies.size(), 1u);
  const PolicyOutcome& own = result.policies[0];
  EXPECT_EQ(own.policy, "job");
  ExpectOutcome(own.tables[0], {8, 4, 0, 4});
  // Both values of the first step look for the row before its pushes make it.
  ExpectOutcome(own.tables[1], {8, 6, 0, 1});
  ExpectOutcome(own.total, {16, 10, 0, 5});
  EXPECT_EQ(own.total.rows_evicted, 0);
  EXPECT_EQ(own.total.folded_keys, 0);
  EXPECT_GT(own.total.bytes, 0);
  EXPECT_EQ(own.total.bytes, own.tables[0].bytes + own.tables[1].bytes);
  ASSERT_EQ(own.points.size(), 4u);
  EXPECT_EQ(own.points[0].counts.hits, 0);
  EXPECT_EQ(own.points[3].counts.hits, 3);
  EXPECT_EQ(own.points[3].rows, 5);
}

TEST_F(TableSim, BucketsFoldAndCollide) {
  Write(kStream);
  const SimResult result =
      Simulate(MakeJob(tables_), {"name: 'two' tables: 'a' buckets: 2", "name: 'three' tables: 'a' buckets: 3"});
  ASSERT_EQ(result.policies.size(), 3u);
  // 1 0 | 1 1 | 1 1 | 0 0
  ExpectOutcome(result.policies[1].tables[0], {8, 6, 0, 2});
  EXPECT_EQ(result.policies[1].tables[0].folded_keys, 4);
  EXPECT_EQ(result.policies[1].tables[0].colliding_keys, 4);
  EXPECT_EQ(result.policies[1].tables[1].folded_keys, 0);
  // 1 2 | 1 0 | 1 1 | 1 2: only 1 and 4 share a bucket.
  ExpectOutcome(result.policies[2].tables[0], {8, 5, 0, 3});
  EXPECT_EQ(result.policies[2].tables[0].colliding_keys, 2);
  EXPECT_EQ(result.policies[2].total.colliding_keys, 2);
}

TEST_F(TableSim, TheJobsOwnBucketsAreUnfoldedForOthers) {
  Write(kStream);
  Job job = MakeJob(tables_);
  job.mutable_features(0)->mutable_sparse()->set_buckets(2);
  const SimResult result = Simulate(job, {"name: 'three' buckets: 3", "name: 'as is'"});
  ExpectOutcome(result.policies[0].tables[0], {8, 6, 0, 2});
  EXPECT_EQ(result.policies[0].tables[0].colliding_keys, 4);
  ExpectOutcome(result.policies[1].tables[0], {8, 5, 0, 3});
  ExpectOutcome(result.policies[2].tables[0], {8, 6, 0, 2});
}

TEST_F(TableSim, StopsAfterRowsAndSteps) {
  Write(kStream);
  SimOptions options;
  options.rows_max = 3;  // ends with its step
  EXPECT_EQ(Simulate(MakeJob(tables_), {}, options).rows, 4);
  Job job = MakeJob(tables_);
  job.mutable_train()->set_max_steps(3);
  EXPECT_EQ(Simulate(job, {}).steps, 3);
  job.mutable_train()->set_max_steps(0);
  job.mutable_train()->set_epochs(2);
  const SimResult twice = Simulate(job, {});
  EXPECT_EQ(twice.steps, 8);
  ExpectOutcome(twice.policies[0].tables[0], {16, 12, 0, 4});
}

TEST_F(TableSim, WorkersLookUpOnTheirOwn) {
  Write(kStream);
  SimOptions options;
  options.workers = 2;
  // Each worker has one sample of a step: the same values, keys and rows.
  const SimResult result = Simulate(MakeJob(tables_), {}, options);
  EXPECT_EQ(result.steps, 4);
  ExpectOutcome(result.policies[0].tables[0], {8, 4, 0, 4});
  ExpectOutcome(result.policies[0].tables[1], {8, 6, 0, 1});
}

TEST_F(TableSim, AdmissionByCountKeepsKeysOutUntilTheirSecondPush) {
  Write(kStream);
  const std::vector<std::string> twice = {"name: 'twice' admission { count { threshold: 2 filter_memory: '1KiB' } }"};
  const SimResult result = Simulate(MakeJob(tables_), twice);
  // Key 1 gets its row at step 2, which still looked for it in vain, key 2 at step 4; keys 3 and 4 get none.
  ExpectOutcome(result.policies[1].tables[0], {8, 2, 4, 2});
  ExpectOutcome(result.policies[1].tables[1], {8, 4, 2, 1});
  EXPECT_EQ(result.policies[1].total.rows_evicted, 0);
  ExpectOutcome(result.policies[0].tables[0], {8, 4, 0, 4});
  SimOptions options;
  options.workers = 2;  // both push key 9 at step 1
  const SimResult by_two = Simulate(MakeJob(tables_), twice, options);
  ExpectOutcome(by_two.policies[1].tables[0], {8, 2, 4, 2});
  ExpectOutcome(by_two.policies[1].tables[1], {8, 6, 0, 1});
}

TEST_F(TableSim, ATimeToLiveDropsRowsThatAreNotTrained) {
  Write(kStream);
  const SimResult result = Simulate(MakeJob(tables_), {"name: 'ttl' eviction { ttl_steps: 1 every_steps: 1 }"});
  // Rows after each step: 1 2 | 1 3 | 1 | 4 2.
  const TableOutcome& table = result.policies[1].tables[0];
  ExpectOutcome(table, {8, 3, 0, 2});
  EXPECT_EQ(table.rows_peak, 2);
  EXPECT_EQ(table.rows_evicted, 3);
  EXPECT_EQ(result.policies[1].tables[1].rows_evicted, 0);
}

TEST_F(TableSim, AFullTableHasTheRowsOfTheJobsLayout) {
  const Job job = MakeJob(R"(tables { name: "a" dim: 1 optimizer { adam {} } } tables { name: "b" dim: 1 })");
  TableConfig table = job.tables(0);
  table.set_memory("24KiB");
  const int64_t rows_max =
      *ShardRowsMax(MakeTableLimits(table), MakeRowLayout(1, job.tables(0).optimizer()), /*virtual_shards=*/1);
  ASSERT_GT(rows_max, 16);
  std::vector<std::pair<int, int>> samples;
  for (int i = 0; i < rows_max + 10; ++i) samples.emplace_back(i, 9);
  Write(samples);
  const SimResult result = Simulate(
      job, {"name: 'refuse' memory: '24KiB'", "name: 'drop' memory: '24KiB' eviction { when_full: LEAST_RECENT }"});
  ExpectOutcome(result.policies[1].tables[0], {rows_max + 10, 0, 10, rows_max});
  EXPECT_EQ(result.policies[1].tables[0].rows_evicted, 0);
  EXPECT_LE(result.policies[1].tables[0].bytes_peak, 24 << 10);
  const TableOutcome& drop = result.policies[2].tables[0];
  EXPECT_EQ(drop.counts.rejected, 0);
  EXPECT_GE(drop.rows_evicted, 10);
  EXPECT_EQ(drop.rows + drop.rows_evicted, rows_max + 10);
  EXPECT_LE(drop.rows_peak, rows_max);
}

TEST_F(TableSim, RefusesPoliciesThatCannotBe) {
  Write(kStream);
  const Job job = MakeJob(tables_);
  const auto error = [&](const std::string& policy) {
    const Status status = ReadSimPolicies(job, std::vector<std::string>{policy}, "", "").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << policy;
    return status.message();
  };
  EXPECT_THAT(error("name: 'x' nonsense: 3"), HasSubstr("nonsense"));
  EXPECT_THAT(error("name: 'x' tables: 'aa'"), AllOf(HasSubstr("policy \"x\": "), HasSubstr("no table of the job")));
  EXPECT_THAT(error("name: 'job'"), HasSubstr("stands twice"));
  EXPECT_THAT(error("buckets: 3"), HasSubstr("name"));
  EXPECT_THAT(error("name: 'x' memory: '64 elephants'"), HasSubstr("64 elephants"));
  EXPECT_THAT(error("name: 'x' admission { count { threshold: 0 } }"), HasSubstr("threshold is 0"));
  EXPECT_THAT(error("name: 'x' eviction { ttl_s: 10 }"), HasSubstr("ttl_steps"));
  EXPECT_THAT(error("name: 'x' eviction { min_norm: 10 }"), HasSubstr("which a replay has not"));
  EXPECT_THAT(error("name: 'x' eviction { when_full: LEAST_RECENT }"), HasSubstr("expected the table's memory"));
}

TEST_F(TableSim, ReadsPoliciesFromAFileToo) {
  const Job job = MakeJob(tables_);
  const auto policies = ReadSimPolicies(job, std::vector<std::string>{"name: 'last'"}, "p.textproto",
                                        "policies { name: 'one' buckets: 7 }\npolicies { name: 'two' }");
  ASSERT_TRUE(policies.ok()) << policies.status().ToString();
  std::vector<std::string> names;
  for (const SimPolicy& policy : *policies) names.push_back(policy.name);
  EXPECT_THAT(names, ::testing::ElementsAre("job", "one", "two", "last"));
  EXPECT_THAT((*policies)[1].feature_buckets(), ::testing::ElementsAre(7, 7));
  const Status torn = ReadSimPolicies(job, {}, "p.textproto", "policies {\n  name 'one' }").status();
  EXPECT_THAT(torn.message(), HasSubstr("p.textproto:2:"));
}

TEST(Collisions, CountsKeysOnceWhateverFeatureTheyAreOf) {
  Collisions collisions;
  collisions.Add(std::vector<uint64_t>{1, 2, 3}, 10);
  collisions.Add(std::vector<uint64_t>{1, 11}, 10);
  collisions.Add(std::vector<uint64_t>{22, 2}, 20);  // bucket 2, as 2 of the others
  collisions.Add(std::vector<uint64_t>{5, 15}, 0);   // not folded
  const Collisions::Count count = collisions.Total();
  EXPECT_EQ(count.distinct_keys, 5);   // 1 2 3 11 22
  EXPECT_EQ(count.colliding_keys, 4);  // 1 and 11, 2 and 22
}

}  // namespace
}  // namespace weir
