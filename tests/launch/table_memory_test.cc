#include "launch/table_memory.h"

#include <gtest/gtest.h>

#include "proto/job_text.h"

namespace weir {
namespace {

Job MakeJob(const std::string& features, const std::string& table = "") {
  const Result<Job> job = ReadJob("job",
                                  features + R"(
data { label { column: "y" } }
tables { name: "t" dim: 8 optimizer { adam {} } )" +
                                      table + R"( }
model { dlrm {} }
train {}
output: "o"
)",
                                  {}, nullptr);
  CHECK(job.ok()) << job.status().ToString();
  return *job;
}

TEST(PredictTableMemory, CountsKeyStepCountWeightsAndState) {
  const std::vector<PredictedMemory> memory = PredictTableMemory(MakeJob(R"(features { name: "t" sparse {} })"));
  ASSERT_EQ(memory.size(), 1u);
  EXPECT_EQ(memory[0].table, "t");
  EXPECT_EQ(memory[0].dim, 8);
  EXPECT_EQ(memory[0].state_width, 16);
  EXPECT_EQ(memory[0].row_bytes, 12 + 4 * 24);
  EXPECT_FALSE(memory[0].keys_max.has_value());
}

TEST(PredictTableMemory, BoundsWhatFoldsOrIsBucketised) {
  EXPECT_EQ(PredictTableMemory(MakeJob(R"(features { name: "a" sparse { table: "t" buckets: 100 } })"))[0].keys_max,
            100u);
  EXPECT_EQ(PredictTableMemory(MakeJob(R"(
features { name: "a" sparse { table: "t" buckets: 100 } }
features { name: "b" sparse { table: "t" buckets: 70 } }
features { name: "c" sparse { table: "t" boundaries: [1, 2, 3] } })"))[0]
                .keys_max,
            105u);
  EXPECT_FALSE(PredictTableMemory(MakeJob(R"(
features { name: "a" sparse { table: "t" buckets: 100 } }
features { name: "b" sparse { table: "t" } })"))[0]
                   .keys_max.has_value());
}

TEST(PredictTableMemory, ABudgetBoundsBytesAndRows) {
  const PredictedMemory memory =
      PredictTableMemory(MakeJob(R"(features { name: "t" sparse {} })", "memory: '2GiB' admission { count {} }"))[0];
  EXPECT_EQ(memory.budget_bytes, int64_t{2} << 30);
  EXPECT_EQ(memory.bytes_max(), int64_t{2} << 30);
  EXPECT_EQ(memory.filter_bytes, 16 << 20);
  ASSERT_TRUE(memory.budget_rows.has_value());
  EXPECT_GT(*memory.budget_rows * (memory.row_bytes + 21), (int64_t{2} << 30) * 8 / 10);
  EXPECT_LT(*memory.budget_rows * memory.row_bytes, int64_t{2} << 30);
}

TEST(PredictTableMemory, WithoutBudgetTheKeysBoundIt) {
  EXPECT_FALSE(PredictTableMemory(MakeJob(R"(features { name: "t" sparse {} })"))[0].bytes_max().has_value());
  const PredictedMemory memory = PredictTableMemory(MakeJob(R"(features { name: "t" sparse { buckets: 1000 } })"))[0];
  EXPECT_EQ(memory.bytes_max(), static_cast<int64_t>(1000 * (12 + 4 * 24 + memory.index_bytes_max)));
}

TEST(CheckTableMemory, OnlyAMemoryTooSmallIsRefused) {
  const std::string feature = R"(features { name: "t" sparse {} })";
  EXPECT_TRUE(CheckTableMemory(MakeJob(feature)).ok());
  EXPECT_TRUE(CheckTableMemory(MakeJob(feature, "memory: '4MiB'")).ok());
  EXPECT_FALSE(CheckTableMemory(MakeJob(feature, "memory: '64KiB'")).ok());
  EXPECT_TRUE(CheckTableMemory(MakeJob(feature, "memory: '64KiB' disk { path: '/tmp/x' }")).ok()) << "the disk's rule";
}

}  // namespace
}  // namespace weir
