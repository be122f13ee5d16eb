#include "trainer/ledger.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/trainer/workers.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kTimeoutNs = 30'000'000'000;
const std::string kFile = "/lake/a\tb";

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() {
    job_.set_output(folder_.path());
    job_.mutable_data()->mutable_ledger()->set_column("id");
  }

  // Each of `workers` enters "STEP-WORKER" for the steps first+1 .. last and commits after them; then enters one more
  // step, which no commit has.
  void Run(int workers, int64_t first, int64_t last, TrainingState* training) {
    std::vector<TrainingState> states(workers, *training);
    RunWorkers(workers, kTimeoutNs, [&](Collective& collective) {
      Worker worker{.job = &job_, .collective = &collective};
      TrainingState* state = &states[collective.rank()];
      auto ledger = Ledger::Open(worker, &LocalFileSystem(), first, *state);
      ASSERT_TRUE(ledger.ok()) << ledger.status().ToString();
      for (int64_t step = first + 1; step <= last; ++step) {
        ASSERT_TRUE((*ledger)->Append(step, Sample(fmt::format("{}-{}", step, collective.rank()))).ok());
      }
      ASSERT_TRUE((*ledger)->Commit(state).ok());
      ASSERT_TRUE((*ledger)->Append(last + 1, Sample("lost")).ok());
    });
    for (const TrainingState& state : states) EXPECT_EQ(state.SerializeAsString(), states[0].SerializeAsString());
    *training = states[0];
  }

  static StepBatch Sample(const std::string& id) {
    StepBatch step;
    step.batch.num_samples = 1;
    step.batch.ids.Append(id);
    return step;
  }

  Status OpenAlone(const TrainingState& training) {
    auto collectives = MakeInProcessCollectives(1, kTimeoutNs);
    Worker worker{.job = &job_, .collective = collectives[0].get()};
    return Ledger::Open(worker, &LocalFileSystem(), 5, training).status();
  }

  std::string Path(const std::string& name) const { return folder_.path() + "/ledger/" + name; }
  std::string Text(const std::string& name) { return LocalFileSystem().ReadAll(Path(name), 1 << 22).value(); }
  std::vector<std::string> Names() { return LocalFileSystem().List(folder_.path() + "/ledger").value(); }

  TemporaryFolder folder_;
  Job job_;
};

TEST_F(LedgerTest, HasALineForEachRowAndATrailerForEachStep) {
  auto collectives = MakeInProcessCollectives(1, kTimeoutNs);
  Worker worker{.job = &job_, .collective = collectives[0].get()};
  TrainingState training;
  auto ledger = Ledger::Open(worker, &LocalFileSystem(), 0, training);
  ASSERT_TRUE(ledger.ok());
  StepBatch step = Sample("17");
  step.batch.num_samples = 2;
  step.batch.ids.Append("a\tb\\\n");
  step.epoch = 3;
  step.bad_rows.push_back({&kFile, {8, "x", "is NaN", "nan", DataConfig::SKIP}, "18"});
  step.bad_rows.push_back({&kFile, {9, "x", "is NaN", "nan", DataConfig::DEFAULT}, "17"});  // is among the trained
  ASSERT_TRUE((*ledger)->Append(1, step).ok());
  ASSERT_TRUE((*ledger)->Append(2, StepBatch()).ok());
  ASSERT_TRUE((*ledger)->Commit(&training).ok());
  const std::string block = "+17\n+a\\tb\\\\\\n\n-18\t/lake/a\\tb\t9\n# step 1 epoch 4 trained 2 skipped 1";
  const std::string expected = block + fmt::format(" crc32c {:08x}\n", Crc32c(block.data(), block.size()));
  EXPECT_EQ(Text("from-1-worker-0.txt"), expected);
  ASSERT_EQ(training.ledger_size(), 1);
  EXPECT_EQ(training.ledger(0).name(), "from-1-worker-0.txt");
  EXPECT_EQ(training.ledger(0).bytes(), expected.size());
}

TEST_F(LedgerTest, IsCutBackToTheCommitWithAnyNumberOfWorkers) {
  TrainingState training;
  Run(3, 0, 2, &training);
  EXPECT_THAT(Text("from-1-worker-2.txt"), HasSubstr("lost"));
  Run(1, 2, 3, &training);
  EXPECT_EQ(Text("from-1-worker-2.txt").find("lost"), std::string::npos);
  EXPECT_THAT(Text("from-1-worker-2.txt"), HasSubstr("+2-2\n"));
  // A run that dies before it commits leaves files that no commit has.
  TrainingState dead = training;
  Run(4, 3, 4, &dead);
  EXPECT_THAT(Names(), ::testing::Contains("from-4-worker-3.txt"));
  std::ofstream(Path("notes.txt")) << "of somebody else";
  Run(2, 3, 3, &training);
  EXPECT_THAT(Names(), ElementsAre("from-1-worker-0.txt", "from-1-worker-1.txt", "from-1-worker-2.txt",
                                   "from-3-worker-0.txt", "from-4-worker-0.txt", "from-4-worker-1.txt", "notes.txt"));
  ASSERT_EQ(training.ledger_size(), 4) << "files without a committed line are not in it";
}

TEST_F(LedgerTest, ANewRunBeginsAnew) {
  TrainingState training;
  Run(2, 0, 1, &training);
  ASSERT_TRUE(OpenAlone(TrainingState()).ok());
  EXPECT_TRUE(Names().empty());
}

TEST_F(LedgerTest, AMissingOrShorterFileIsRefused) {
  TrainingState training;
  Run(1, 0, 5, &training);
  std::filesystem::resize_file(Path("from-1-worker-0.txt"), training.ledger(0).bytes() - 1);
  Status status = OpenAlone(training);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("from-1-worker-0.txt"));
  std::filesystem::remove(Path("from-1-worker-0.txt"));
  EXPECT_EQ(OpenAlone(training).code(), StatusCode::kDataLoss);
}

TEST_F(LedgerTest, AManifestNamesNoOtherFiles) {
  std::ofstream(folder_.path() + "/from-elsewhere.txt") << "of somebody else";
  for (const char* name : {"../from-elsewhere.txt", "from-/../../from-elsewhere.txt", "notes.txt", ""}) {
    TrainingState training;
    training.add_ledger()->set_name(name);
    EXPECT_EQ(OpenAlone(training).code(), StatusCode::kDataLoss) << name;
  }
  EXPECT_EQ(std::filesystem::file_size(folder_.path() + "/from-elsewhere.txt"), 16u);
}

TEST_F(LedgerTest, WithoutAColumnThereIsNone) {
  job_.mutable_data()->clear_ledger();
  auto collectives = MakeInProcessCollectives(1, kTimeoutNs);
  Worker worker{.job = &job_, .collective = collectives[0].get()};
  auto ledger = Ledger::Open(worker, &LocalFileSystem(), 0, TrainingState());
  ASSERT_TRUE(ledger.ok());
  EXPECT_EQ(*ledger, nullptr);
  EXPECT_FALSE(LocalFileSystem().Exists(folder_.path() + "/ledger"));
}

}  // namespace
}  // namespace weir
