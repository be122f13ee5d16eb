// What rank 0 writes of the store: one record a kind, with the figures of each server and how unlike they are.
#include "trainer/reporter.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/temporary_folder.h"
#include "tests/trainer/fake_clock.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ReporterTest : public ::testing::Test {
 protected:
  // The log of a run of one step under these figures of the store.
  std::string LogOf(const StoreStats& stats, int hot_rows = 0, const BadRowCounts& bad_rows = {}) {
    Job job;
    job.mutable_cluster()->set_hot_rows(hot_rows);
    job.set_output(folder_.path());
    job.mutable_metrics()->set_tensorboard(false);
    auto reporter = Reporter::Open(job, &LocalFileSystem(), &clock_, 0);
    CHECK(reporter.ok()) << reporter.status().ToString();
    clock_.AdvanceSeconds(100);
    EXPECT_TRUE((*reporter)->PointIsDue());
    StepResult result;
    result.previous_weight = 1;
    EXPECT_TRUE((*reporter)->Step(5, LoaderPosition(), 50, result, &stats, bad_rows).ok());
    EXPECT_TRUE((*reporter)->Close(10, stats, bad_rows).ok());
    return LocalFileSystem().ReadAll(folder_.path() + "/metrics.jsonl", 1 << 20).value();
  }

  TemporaryFolder folder_;
  FakeClock clock_;
};

TEST_F(ReporterTest, ServersHaveTheirLoadAndItsImbalance) {
  StoreStats stats;
  stats.servers = {{10, 1000, 30, 40, 7, 0}, {30, 1000, 0, 8, 1, 0}};
  const std::string log = LogOf(stats);
  const std::string record =
      R"({"step": 5, "kind": "servers", "0/rows": 10, "0/table_bytes": 1000, "0/keys_pulled": 30, "0/keys_pushed": 40, )"
      R"("0/bytes_in": 7, "0/bytes_out": 0, "1/rows": 30, "1/table_bytes": 1000, "1/keys_pulled": 0, )"
      R"("1/keys_pushed": 8, "1/bytes_in": 1, "1/bytes_out": 0, "imbalance/rows": 1.5, "imbalance/table_bytes": 1, )"
      R"("imbalance/keys_pulled": 2, "imbalance/keys_pushed": 1.6666666666666667, "imbalance/bytes_in": 1.75, )"
      R"("imbalance/bytes_out": 1})"
      "\n";
  // With the point and with the end.
  const size_t first = log.find(record);
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_NE(log.find(record, first + 1), std::string::npos) << log;
}

TEST_F(ReporterTest, WithHotRowsTheServersRecordCountsTheKeysFromTheCache) {
  StoreStats stats;
  stats.servers.resize(1);
  stats.keys_from_cache = 123;
  EXPECT_THAT(LogOf(stats, 100), HasSubstr(R"("imbalance/bytes_out": 1, "keys_from_cache": 123})"));
}

TEST_F(ReporterTest, BadRowsAreShownOnceTheyChange) {
  BadRowCounts bad_rows;
  bad_rows.Add({"/a.csv", "x", "is NaN"}, 3);
  bad_rows.Add({"/a.csv", "", "has 2 fields, expected 3"}, 2);
  const std::string log = LogOf(StoreStats(), 0, bad_rows);
  const std::string record =
      R"({"step": 5, "kind": "bad_rows", "rows": 5, "(row)/has 2 fields, expected 3//a.csv": 2, "x/is NaN//a.csv": 3})"
      "\n";
  const size_t first = log.find(record);
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("\"bad_rows\"", first + record.size()), std::string::npos) << log;
}

TEST_F(ReporterTest, WithoutServersThereIsNoRecordOfThem) {
  const std::string log = LogOf(StoreStats());
  EXPECT_THAT(log, HasSubstr(R"("kind": "train")"));
  EXPECT_THAT(log, HasSubstr(R"("kind": "run")"));
  EXPECT_THAT(log, Not(HasSubstr(R"("kind": "servers")")));
}

}  // namespace
}  // namespace weir
