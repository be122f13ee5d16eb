// Finding, pruning and cleaning up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"
#include "checkpoint/summary.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

FileSystem* Disk() { return &LocalFileSystem(); }

class CatalogTest : public ::testing::Test {
 protected:
  void Commit(int64_t step, int64_t best_step = 0) {
    TestCheckpoint checkpoint = MakeTestCheckpoint(step);
    if (best_step > 0) checkpoint.training.mutable_best()->set_step(best_step);
    Result<std::string> path = CommitTestCheckpoint(Disk(), root_, checkpoint);
    ASSERT_TRUE(path.ok()) << path.status().ToString();
  }
  void Damage(const std::string& file) {
    std::string bytes = ReadBytes(JoinPath(root_, file));
    bytes[bytes.size() / 2] ^= 1;
    WriteBytes(JoinPath(root_, file), bytes);
  }
  std::vector<int64_t> Steps() {
    std::vector<int64_t> steps;
    damaged_.clear();
    const std::vector<CheckpointEntry> entries = *ListCheckpoints(Disk(), root_, &damaged_);
    for (const CheckpointEntry& entry : entries) steps.push_back(entry.step);
    return steps;
  }

  TemporaryFolder folder_;
  const std::string output_ = JoinPath(folder_.path(), "output");
  const std::string root_ = JoinPath(output_, "checkpoints");
  std::vector<std::string> damaged_;
};

TEST_F(CatalogTest, ListsByAscendingStep) {
  EXPECT_TRUE(Steps().empty()) << "an absent root has none";
  for (int64_t step : {100, 20, 3}) Commit(step);
  ASSERT_TRUE(Disk()->CreateFolders(JoinPath(root_, "step-7.tmp-" + *MakeUuid())).ok());
  ASSERT_TRUE(Disk()->CreateFolders(JoinPath(root_, "notes")).ok());
  EXPECT_THAT(Steps(), ElementsAre(3, 20, 100));
  EXPECT_TRUE(damaged_.empty());
}

TEST_F(CatalogTest, NamesDamagedOnes) {
  for (int64_t step : {1, 2, 3, 4}) Commit(step);
  Damage("step-1/MANIFEST");
  WriteBytes(JoinPath(root_, "step-2/dense.arrow"), "short");
  std::filesystem::remove(JoinPath(root_, "step-4/rows-0001-test-00000.arrow"));
  EXPECT_THAT(Steps(), ElementsAre(3));
  EXPECT_THAT(damaged_, ElementsAre(HasSubstr("step-1/MANIFEST"), HasSubstr("step-2/dense.arrow: expected"),
                                    HasSubstr("step-4/rows-0001-test-00000.arrow: expected")));
}

TEST_F(CatalogTest, PruneKeepsTheNewestAndTheNamed) {
  for (int64_t step : {1, 2, 3, 4, 5, 6}) Commit(step);
  const std::string leftover = JoinPath(root_, "step-9.tmp-" + *MakeUuid());
  ASSERT_TRUE(Disk()->CreateFolders(leftover).ok());
  ASSERT_TRUE(PruneCheckpoints(Disk(), root_, 2, std::vector<int64_t>{2, 77}).ok());
  EXPECT_THAT(Steps(), ElementsAre(2, 5, 6));
  EXPECT_THAT(*Disk()->List(root_), ElementsAre("step-2", "step-5", "step-6"));
  EXPECT_EQ(PruneCheckpoints(Disk(), root_, 0, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(PruneCheckpoints(Disk(), JoinPath(output_, "absent"), 2, {}).ok());
}

TEST_F(CatalogTest, PruneCountsWholeOnesOnly) {
  for (int64_t step : {1, 2, 3, 4}) Commit(step);
  Damage("step-4/MANIFEST");
  ASSERT_TRUE(PruneCheckpoints(Disk(), root_, 2, {}).ok());
  EXPECT_THAT(Steps(), ElementsAre(2, 3));
  EXPECT_TRUE(Disk()->Exists(JoinPath(root_, "step-4"))) << "a damaged one is for people to look at";
}

TEST_F(CatalogTest, RemoveLeftoversTakesNothingElse) {
  Commit(1);
  const std::string uuid = *MakeUuid();
  for (const std::string& name : {"step-2.tmp-" + uuid, "step-2.bad-" + uuid, std::string("x.tmp-") + uuid}) {
    ASSERT_TRUE(Disk()->CreateFolders(JoinPath(root_, name)).ok());
  }
  WriteBytes(JoinPath(root_, ".probe-" + uuid), uuid);
  WriteBytes(JoinPath(root_, "step-2.tmp-" + uuid + "/dense.arrow"), "torn");
  ASSERT_TRUE(RemoveLeftovers(Disk(), root_).ok());
  EXPECT_THAT(*Disk()->List(root_), UnorderedElementsAre("step-1", "step-2.bad-" + uuid, "x.tmp-" + uuid));
  EXPECT_TRUE(RemoveLeftovers(Disk(), JoinPath(output_, "absent")).ok());
}

TEST_F(CatalogTest, ResolvesAStepFolder) {
  Commit(1);
  Commit(2, 2);
  EXPECT_EQ(*ResolveCheckpoint(Disk(), JoinPath(root_, "step-1")), JoinPath(root_, "step-1"));
  EXPECT_EQ(*ResolveCheckpoint(Disk(), JoinPath(root_, "step-1/")), JoinPath(root_, "step-1"));
  Damage("step-1/MANIFEST");
  EXPECT_EQ(ResolveCheckpoint(Disk(), JoinPath(root_, "step-1")).status().code(), StatusCode::kDataLoss);
}

TEST_F(CatalogTest, ResolvesToTheLastWithoutEvaluations) {
  for (int64_t step : {9, 10, 8}) Commit(step);
  for (const std::string& path : {output_, root_, output_ + "/", root_ + "/"}) {
    EXPECT_EQ(*ResolveCheckpoint(Disk(), path), JoinPath(root_, "step-10")) << path;
  }
}

TEST_F(CatalogTest, ResolvesToTheBestThatIsThere) {
  Commit(1, 1);
  Commit(2, 2);
  Commit(3, 2);
  EXPECT_EQ(*ResolveCheckpoint(Disk(), output_), JoinPath(root_, "step-2"));
  std::filesystem::remove_all(JoinPath(root_, "step-2"));
  EXPECT_EQ(*ResolveCheckpoint(Disk(), output_), JoinPath(root_, "step-3"));
}

TEST_F(CatalogTest, SaysWhatIsNotThere) {
  Status absent = ResolveCheckpoint(Disk(), output_).status();
  EXPECT_EQ(absent.code(), StatusCode::kNotFound);
  EXPECT_THAT(absent.message(), HasSubstr(output_));
  ASSERT_TRUE(Disk()->CreateFolders(root_).ok());
  Status empty = ResolveCheckpoint(Disk(), output_).status();
  EXPECT_EQ(empty.code(), StatusCode::kNotFound);
  EXPECT_THAT(empty.message(), HasSubstr("expected a step-N folder"));
  Commit(1);
  Damage("step-1/MANIFEST");
  Status damaged = ResolveCheckpoint(Disk(), output_).status();
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss);
  EXPECT_THAT(damaged.message(), HasSubstr("step-1/MANIFEST"));
}

TEST_F(CatalogTest, SummaryCountsRowsAndBytes) {
  Commit(5);
  const CheckpointEntry entry = ListCheckpoints(Disk(), root_, nullptr)->at(0);
  const CheckpointSummary summary = Summarize(entry.manifest);
  EXPECT_EQ(summary.step, 5);
  EXPECT_EQ(summary.rows, 45u);
  EXPECT_EQ(summary.tables, 2);
  EXPECT_EQ(summary.files, 3);
  uint64_t bytes = 0;
  const std::vector<std::string> names = *Disk()->List(entry.path);
  for (const std::string& name : names) {
    if (name != "MANIFEST") bytes += *Disk()->FileSize(JoinPath(entry.path, name));
  }
  EXPECT_EQ(summary.bytes, bytes);
  CheckpointSummary shown = summary;
  shown.created_unix_s = 0;
  shown.bytes = 3 << 20;
  shown.auc = 0.75;
  shown.complete = true;
  EXPECT_EQ(ToLine(shown),
            "step 5  1970-01-01T00:00:00Z  45 rows in 2 tables  3.0 MiB in 3 files  epoch 1 + 5000 samples  "
            "auc 0.750000  complete");
}

}  // namespace
}  // namespace weir
