#include "launch/table_memory.h"

#include <gtest/gtest.h>

#include "proto/job_text.h"

namespace weir {
namespace {

Job MakeJob(const std::string& features) {
  const Result<Job> job = ReadJob("job", features + R"(
data { label { column: "y" } }
tables { name: "t" dim: 8 optimizer { adam {} } }
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
  EXPECT_EQ(memory[0].row_bytes, 24 + 4 * 24);
  EXPECT_FALSE(memory[0].rows_max.has_value());
}

TEST(PredictTableMemory, BoundsWhatFoldsOrIsBucketised) {
  EXPECT_EQ(PredictTableMemory(MakeJob(R"(features { name: "a" sparse { table: "t" buckets: 100 } })"))[0].rows_max,
            100u);
  EXPECT_EQ(PredictTableMemory(MakeJob(R"(
features { name: "a" sparse { table: "t" buckets: 100 } }
features { name: "b" sparse { table: "t" buckets: 70 } }
features { name: "c" sparse { table: "t" boundaries: [1, 2, 3] } })"))[0]
                .rows_max,
            105u);
  EXPECT_FALSE(PredictTableMemory(MakeJob(R"(
features { name: "a" sparse { table: "t" buckets: 100 } }
features { name: "b" sparse { table: "t" } })"))[0]
                   .rows_max.has_value());
}

}  // namespace
}  // namespace weir
