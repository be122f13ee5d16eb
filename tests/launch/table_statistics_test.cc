#include "launch/table_report/table_statistics.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/table_report/report_grids.h"
#include "launch/table_report/report_views.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Five rows whose numbers can be told by hand, beside an empty table.
TestCheckpoint SmallTables() {
  TestCheckpoint checkpoint;
  checkpoint.step = 100;
  checkpoint.virtual_shards = 4;
  checkpoint.cuts = {0, 1, 4};
  checkpoint.tables = {{"user",
                        {2, {{"sum", 1, 0}}},
                        {{11, 100, 1, {3, 4, 9}},
                         {12, 99, 1, {0, 0, 9}},
                         {13, 90, 7, {0, 1, 9}},
                         {14, 0, 300, {kNan, 1, 9}},
                         {15, 36, 2, {kInfinity, kNan, 9}}}},
                       {"item", {3, {}}, {}}};
  return checkpoint;
}

struct Committed {
  TemporaryFolder folder;
  std::string path;
  Manifest manifest;

  explicit Committed(const TestCheckpoint& checkpoint) {
    path = CommitTestCheckpoint(&LocalFileSystem(), folder.path(), checkpoint).value();
    manifest = ReadManifest(&LocalFileSystem(), path).value();
  }
  Result<std::vector<TableStatistics>> Read(const std::string& only = "") const {
    return ReadTableStatistics(&LocalFileSystem(), path, manifest, only, [](int64_t) {});
  }
};

TEST(TableStatistics, AreThoseOfTheRows) {
  const Committed committed(SmallTables());
  const Result<std::vector<TableStatistics>> tables = committed.Read();
  ASSERT_TRUE(tables.ok()) << tables.status().ToString();
  ASSERT_EQ(tables->size(), 2u);
  const TableStatistics& user = (*tables)[0];
  EXPECT_EQ(user.table, "user");
  EXPECT_EQ(user.rows, 5);
  EXPECT_EQ(user.weight_bytes, 5 * 8);
  EXPECT_EQ(user.state_bytes, 5 * (12 + 4));
  EXPECT_GT(user.file_bytes, 0);
  EXPECT_EQ(user.ages.min(), 0);
  EXPECT_EQ(user.ages.Quantile(0.5), 10);  // 0 1 10 64 100
  EXPECT_EQ(user.ages.max(), 100);
  EXPECT_EQ(user.counts.max(), 300);
  EXPECT_EQ(user.once_rows, 2);
  EXPECT_EQ(user.norms.count(), 3);  // 0 1 5
  EXPECT_EQ(user.norms.Quantile(0.5), 1);
  EXPECT_EQ(user.norms.max(), 5);
  EXPECT_EQ(user.zero_rows, 1);
  EXPECT_EQ(user.zero_weights, 3);
  EXPECT_EQ(user.nan_weights, 2);
  EXPECT_EQ(user.infinite_weights, 1);
  EXPECT_EQ(user.broken_rows, 2);
  std::vector<int64_t> shards(4);
  for (uint64_t key = 11; key <= 15; ++key) ++shards[VirtualShard(key, 4)];
  EXPECT_EQ(user.shard_rows, shards);
  EXPECT_EQ(user.shard_rows_mean(), 1.25);

  const TableStatistics& item = (*tables)[1];
  EXPECT_EQ(item.rows, 0);
  EXPECT_EQ(item.bytes(), 0);
  EXPECT_EQ(item.shard_rows_max(), 0);
}

TEST(TableStatistics, OfOneTable) {
  const Committed committed(SmallTables());
  const auto tables = committed.Read("item");
  ASSERT_TRUE(tables.ok()) << tables.status().ToString();
  ASSERT_EQ(tables->size(), 1u);
  EXPECT_EQ((*tables)[0].table, "item");
  const Status unknown = committed.Read("itm").status();
  EXPECT_EQ(unknown.code(), StatusCode::kNotFound);
  EXPECT_THAT(unknown.message(), HasSubstr("no table \"itm\" (did you mean \"item\"?)"));
}

TEST(TableStatistics, RefusesAFlippedBit) {
  const Committed committed(SmallTables());
  for (const DataFile& file : committed.manifest.files()) {
    if (file.kind() != DataFile::ROWS || file.rows() == 0) continue;
    const std::string path = JoinPath(committed.path, file.name());
    const std::string good = ReadBytes(path);
    std::string bad = good;
    bad[bad.size() / 2] ^= 1;
    WriteBytes(path, bad);
    const Status status = committed.Read().status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    EXPECT_THAT(status.message(), AllOf(HasSubstr("reading " + committed.path), HasSubstr(file.name())));
    WriteBytes(path, good);
  }
  EXPECT_TRUE(committed.Read().ok());
}

TEST(TableStatistics, RefusesARowOfALaterStep) {
  TestCheckpoint checkpoint = SmallTables();
  checkpoint.tables[0].rows[2].last_step = 101;
  const Committed committed(checkpoint);
  const Status status = committed.Read().status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("key 13: expected a last step of at most 100, found 101"));
}

TEST(EstimateIndexBytes, CountsCacheLinesOfSevenAtMostSevenEighthsFull) {
  EXPECT_EQ(EstimateIndexBytes({0, 0}), 0);
  EXPECT_EQ(EstimateIndexBytes({6, 1}), 2 * 64);
  EXPECT_EQ(EstimateIndexBytes({7}), 2 * 64);
  EXPECT_EQ(EstimateIndexBytes({50'176}), 8192 * 64);          // 7 * 8192 * 7 / 8
  EXPECT_EQ(EstimateIndexBytes({50'177}), 2 * 4096 * 64 * 2);  // two segments, each over 25,088 keys
}

TEST(ReportText, NamesWhatItShows) {
  const Committed committed(SmallTables());
  const auto tables = committed.Read();
  ASSERT_TRUE(tables.ok());
  const std::string text = ReportText({committed.path, 100, 4}, *tables, /*details=*/true);
  EXPECT_THAT(text, HasSubstr(": step 100, 4 virtual shards\n"));
  EXPECT_THAT(text, HasSubstr("\nAge. "));
  EXPECT_THAT(text, HasSubstr("64 - 127     2  ███"));  // ages 64 and 100
}

TEST(BinLabel, IsOfTheValuesInTheBin) {
  EXPECT_EQ(BinLabel({0, 0, 1}, true), "0");
  EXPECT_EQ(BinLabel({1, 2, 1}, true), "1");
  EXPECT_EQ(BinLabel({1024, 2048, 1}, true), "1,024 - 2,047");
  EXPECT_EQ(BinLabel({1, 2, 1}, false), "1 - 2");
  EXPECT_EQ(BinLabel({0.25, 0.5, 1}, false), "0.25 - 0.5");
}

}  // namespace
}  // namespace weir
