// Comparing two checkpoints by key and bits.
#include <bit>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

FileSystem* Disk() { return &LocalFileSystem(); }

Result<std::vector<std::string>> Diff(const TestCheckpoint& a, const TestCheckpoint& b, int lines_max = 100) {
  TemporaryFolder folder;
  WEIR_ASSIGN_OR_RETURN(std::string a_path, CommitTestCheckpoint(Disk(), JoinPath(folder.path(), "a"), a));
  WEIR_ASSIGN_OR_RETURN(std::string b_path, CommitTestCheckpoint(Disk(), JoinPath(folder.path(), "b"), b));
  return DiffCheckpoints(Disk(), a_path, b_path, lines_max);
}

std::vector<std::string> DiffOf(const std::function<void(TestCheckpoint*)>& change) {
  TestCheckpoint b = MakeTestCheckpoint(6);
  change(&b);
  Result<std::vector<std::string>> lines = Diff(MakeTestCheckpoint(6), b);
  EXPECT_TRUE(lines.ok()) << lines.status().ToString();
  return lines.ok() ? *lines : std::vector<std::string>{"failed"};
}

TestRow& RowOf(TestCheckpoint* checkpoint, int table, size_t row) { return checkpoint->tables[table].rows[row]; }

TEST(Diff, EqualWhateverTheFiles) {
  EXPECT_THAT(DiffOf([](TestCheckpoint*) {}), ElementsAre());
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->cuts = {0, 1, 5, 8}; }), ElementsAre());
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { std::swap(b->tables[0], b->tables[1]); }), ElementsAre());
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { std::swap(b->dense[0], b->dense[1]); }), ElementsAre());
}

TEST(Diff, NamesTableKeyShardColumnAndBothValues) {
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 4).values[1] = 2; }),
              ElementsAre(AllOf(HasSubstr("table \"user\", key 31676 (virtual shard "),
                                HasSubstr("weights[1]: -1 (0xbf800000) and 2 (0x40000000)"))));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 4).values[3] = 9; }),
              ElementsAre(HasSubstr("state.exp_avg[1]: 3 (0x40400000) and 9 (0x41100000)")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 4).values[4] = 9; }),
              ElementsAre(HasSubstr("state.sum[0]: ")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 4).count = 9; }), ElementsAre(HasSubstr(", count: 5 and 9")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 4).last_step = 1; }),
              ElementsAre(HasSubstr(", last_step: 4 and 1")));
}

TEST(Diff, ReadsBfloat16AndTellsItFromFloat32) {
  TestCheckpoint a = MakeTestCheckpoint(6);
  a.tables[0].layout.weight_type = TableConfig::BFLOAT16;
  EXPECT_THAT(*Diff(a, a), ElementsAre());
  TestCheckpoint b = a;
  RowOf(&b, 0, 4).values[1] = 2;
  EXPECT_THAT(*Diff(a, b), ElementsAre(HasSubstr("weights[1]: -1 (0xbf800000) and 2 (0x40000000)")));
  EXPECT_THAT(*Diff(MakeTestCheckpoint(6), a),
              ElementsAre(AllOf(HasSubstr("table \"user\": layout weights[2], state.exp_avg[2], state.sum[1] and"),
                                HasSubstr("weights in bfloat16"))));
}

TEST(Diff, NamesMissingRowsOnEitherSide) {
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->tables[0].rows.pop_back(); }),
              ElementsAre(AllOf(HasSubstr("key 308841"), HasSubstr("only in "), HasSubstr("/a/step-6"))));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) {
                b->tables[1].rows.push_back({12, 6, 1, {1, 2, 3}});
              }),
              ElementsAre(AllOf(HasSubstr("table \"item\", key 12"), HasSubstr("/b/step-6"))));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->tables[1].rows.clear(); }), SizeIs(5));
}

// 0 and -0, and NaNs with other payloads, are other bits.
TEST(Diff, ComparesBits) {
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { RowOf(b, 0, 0).values[0] = -0.0f; }),
              ElementsAre(HasSubstr("weights[0]: 0 (0x00000000) and -0 (0x80000000)")));
  TestCheckpoint a = MakeTestCheckpoint(6), b = a;
  RowOf(&a, 0, 0).values[0] = std::bit_cast<float>(0x7fc00001u);
  RowOf(&b, 0, 0).values[0] = std::bit_cast<float>(0x7fc00002u);
  a.dense[1].values[1] = std::bit_cast<float>(0x7fc00001u);
  b.dense[1].values[1] = std::bit_cast<float>(0x7fc00002u);
  EXPECT_THAT(*Diff(a, b),
              ElementsAre(HasSubstr("dense tensor \"parameter/top.0.bias\": 1 of 2 values differ, the first "
                                    "at 1: nan (0x7fc00001) and nan (0x7fc00002)"),
                          HasSubstr("weights[0]: nan (0x7fc00001) and nan (0x7fc00002)")));
  EXPECT_THAT(*Diff(a, a), ElementsAre()) << "a NaN is equal to itself";
}

TEST(Diff, DenseTensors) {
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->dense[0].values = {1, 2, 9, 4, 5, 9}; }),
              ElementsAre(HasSubstr("2 of 6 values differ, the first at 2: 3 (0x40400000) and 9")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) {
                b->dense[0].shape = {3, 2};
              }),
              ElementsAre(HasSubstr("shape [2, 3] and [3, 2]")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->dense.pop_back(); }),
              ElementsAre(HasSubstr("dense tensor \"parameter/top.0.bias\": only in ")));
}

TEST(Diff, StepAndPosition) {
  TestCheckpoint a = MakeTestCheckpoint(6), b = a;
  b.step = 7;
  EXPECT_THAT(*Diff(a, b), ElementsAre("step: 6 and 7"));
  EXPECT_THAT(DiffOf([](TestCheckpoint* c) { c->position.set_epoch(2); }), ElementsAre("position: epoch: 1 and 2"));
  EXPECT_THAT(DiffOf([](TestCheckpoint* c) { c->position.set_samples(1); }),
              ElementsAre("position: samples of the epoch: 6000 and 1"));
  EXPECT_THAT(DiffOf([](TestCheckpoint* c) { c->position.mutable_files(0)->set_rows(1); }),
              ElementsAre(HasSubstr("input file 0: part-0.parquet (12345 bytes, 4000 rows) and ")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* c) { c->position.add_files(); }), ElementsAre(HasSubstr("files: 1 and 2")));
}

TEST(Diff, Tables) {
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->tables.pop_back(); }),
              ElementsAre(HasSubstr("table \"item\": only in ")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) { b->tables[0].layout.state[1].name = "max"; }),
              ElementsAre(HasSubstr("layout weights[2], state.exp_avg[2], state.sum[1] and weights[2], ")));
  EXPECT_THAT(DiffOf([](TestCheckpoint* b) {
                b->virtual_shards = 4;
                b->cuts = {0, 4};
              }),
              ElementsAre("virtual shards: 8 and 4; rows are not compared"));
}

TEST(Diff, StopsAtTheLinesAskedFor) {
  TestCheckpoint b = MakeTestCheckpoint(6);
  for (TestRow& row : b.tables[0].rows) row.count += 1;
  EXPECT_THAT(*Diff(MakeTestCheckpoint(6), b, 3), SizeIs(3));
  EXPECT_THAT(*Diff(MakeTestCheckpoint(6), b), SizeIs(40));
  EXPECT_EQ(Diff(b, b, 0).status().code(), StatusCode::kInvalidArgument);
}

TEST(Diff, DamageIsAnError) {
  TemporaryFolder folder;
  const std::string a = *CommitTestCheckpoint(Disk(), JoinPath(folder.path(), "a"), MakeTestCheckpoint(6));
  const std::string b = *CommitTestCheckpoint(Disk(), JoinPath(folder.path(), "b"), MakeTestCheckpoint(6));
  const std::string victim = JoinPath(b, "rows-0001-test-00000.arrow");
  std::string bytes = ReadBytes(victim);
  bytes[bytes.size() / 2] ^= 1;
  WriteBytes(victim, bytes);
  Status status = DiffCheckpoints(Disk(), a, b, 10).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr(victim));
  EXPECT_EQ(DiffCheckpoints(Disk(), a, JoinPath(folder.path(), "absent"), 10).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace weir
