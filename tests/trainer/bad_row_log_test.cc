#include "trainer/bad_row_log.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/temporary_folder.h"
#include "tests/trainer/workers.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTimeoutNs = 30'000'000'000;
const std::string kFile = "/lake/a.csv";

FileBadRow Bad(int64_t row, const std::string& reason, DataConfig::BadRowPolicy policy = DataConfig::SKIP) {
  return {&kFile, {row, "x", reason, "v\"1", policy}, ""};
}

// Bad rows by step (from 1), then by worker.
using Steps = std::vector<std::vector<std::vector<FileBadRow>>>;

class BadRowLogTest : public ::testing::Test {
 protected:
  BadRowLogTest() {
    job_.set_output(folder_.path());
    job_.mutable_data()->set_max_bad_rows(1000);
  }

  // Goes on after `step`, over steps[step..], and commits after the last; the status of each worker.
  std::vector<Status> Run(const Steps& steps, int workers, int64_t step, TrainingState* training) {
    std::vector<Status> statuses(workers);
    std::vector<TrainingState> states(workers, *training);
    RunWorkers(workers, kTimeoutNs, [&](Collective& collective) {
      const int rank = collective.rank();
      Worker worker{.job = &job_, .collective = &collective};
      statuses[rank] = RunWorker(worker, steps, step, &states[rank]);
    });
    for (const TrainingState& state : states) {
      EXPECT_EQ(state.SerializeAsString(), states[0].SerializeAsString()) << "workers must agree";
    }
    *training = states[0];
    return statuses;
  }

  Status RunWorker(const Worker& worker, const Steps& steps, int64_t step, TrainingState* state) {
    WEIR_ASSIGN_OR_RETURN(auto log, BadRowLog::Open(worker, &LocalFileSystem(), step, *state));
    while (step < static_cast<int64_t>(steps.size())) {
      StepBatch trained;
      StepResult sums;
      for (int w = 0; w < worker.collective->size(); ++w) {
        for (const FileBadRow& row : steps[step][w]) {
          ++sums.bad_rows;
          sums.stop_rows += row.fault.policy == DataConfig::STOP;
        }
      }
      trained.bad_rows = steps[step][worker.collective->rank()];
      ++step;
      trained.ends_epoch = step % epoch_steps_ == 0;
      WEIR_RETURN_IF_ERROR(log->Step(step, trained, sums));
    }
    return log->Commit(step, state);
  }

  std::string Text() { return LocalFileSystem().ReadAll(folder_.path() + "/bad_rows.jsonl", 1 << 20).value(); }

  TemporaryFolder folder_;
  Job job_;
  int64_t epoch_steps_ = 1000;
};

TEST_F(BadRowLogTest, CountsOverWorkersAndWritesSamples) {
  TrainingState training;
  for (const Status& status :
       Run({{{Bad(4, "is NaN")}, {}}, {{}, {Bad(7, "is NaN"), Bad(8, "is \xff")}}}, 2, 0, &training)) {
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  EXPECT_EQ(training.epoch_bad_rows(), 3);
  ASSERT_EQ(training.bad_rows_size(), 2);
  EXPECT_EQ(training.bad_rows(0).reason(), "is NaN");
  EXPECT_EQ(training.bad_rows(0).rows(), 2);
  const auto row = [](int step, int row, const char* reason) {
    return fmt::format(
        R"({{"step": {}, "kind": "row", "file": "/lake/a.csv", "row": {}, "column": "x", "reason": "{}", )"
        R"("value": "v\"1", "policy": "SKIP"}})"
        "\n",
        step, row, reason);
  };
  const auto count = [](const char* reason, int rows) {
    return fmt::format(R"({{"step": 2, "kind": "count", "file": "/lake/a.csv", "column": "x", "reason": "{}", )"
                       R"("rows": {}}})"
                       "\n",
                       reason, rows);
  };
  EXPECT_EQ(Text(), row(1, 5, "is NaN") + row(2, 8, "is NaN") + row(2, 9, R"(is \ufffd)") + count("is NaN", 2) +
                        count(R"(is \ufffd)", 1));
}

TEST_F(BadRowLogTest, NothingBadWritesNothing) {
  TrainingState training;
  EXPECT_TRUE(Run({{{}}, {{}}}, 1, 0, &training)[0].ok());
  EXPECT_FALSE(LocalFileSystem().Exists(folder_.path() + "/bad_rows.jsonl"));
}

TEST_F(BadRowLogTest, TheLimitEndsAllWorkersInTheSameStep) {
  job_.mutable_data()->set_max_bad_rows(3);
  const Steps steps = {{{Bad(1, "is NaN")}, {}, {Bad(2, "is NaN")}}, {{}, {Bad(3, "is NaN"), Bad(4, "is NaN")}, {}}};
  TrainingState training;
  const std::vector<Status> statuses = Run(steps, 3, 0, &training);
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("row 4"));
    EXPECT_THAT(status.message(), HasSubstr("4 bad rows, and data.max_bad_rows is 3"));
  }
  EXPECT_THAT(statuses[0].message(), HasSubstr("worker 1"));
  EXPECT_THAT(
      Text(),
      HasSubstr(
          "\"kind\": \"count\", \"file\": \"/lake/a.csv\", \"column\": \"x\", \"reason\": \"is NaN\", \"rows\": 4"));
}

TEST_F(BadRowLogTest, TheLimitIsAnEpochsAndOutlivesAResume) {
  job_.mutable_data()->set_max_bad_rows(2);
  epoch_steps_ = 3;
  const std::vector<std::vector<FileBadRow>> bad = {{Bad(1, "is NaN")}}, good = {{}};
  TrainingState training;
  EXPECT_TRUE(Run({bad, bad, good, bad}, 1, 0, &training)[0].ok());
  EXPECT_EQ(training.epoch_bad_rows(), 1);
  EXPECT_TRUE(Run({bad, bad, good, bad, bad}, 1, 4, &training)[0].ok());
  EXPECT_EQ(Run({bad, bad, good, bad, bad, bad}, 1, 5, &training)[0].code(), StatusCode::kInvalidArgument);
}

TEST_F(BadRowLogTest, ARowThatStopsNamesItself) {
  TrainingState training;
  const Steps steps = {{{Bad(1, "is NaN")}, {Bad(2, "is NaN"), Bad(3, "is odd", DataConfig::STOP)}}};
  for (const Status& status : Run(steps, 2, 0, &training)) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("/lake/a.csv: row 4: column x is odd: found 'v\"1'"));
    EXPECT_THAT(status.message(), HasSubstr("STOP"));
  }
}

TEST_F(BadRowLogTest, AResumeCountsNoRowTwice) {
  Steps steps;
  for (int64_t step = 0; step < 300; ++step) steps.push_back({{Bad(step, "is NaN")}, {Bad(1000 + step, "is bad")}});
  TrainingState training, straight;
  Steps beginning(steps.begin(), steps.begin() + 100);
  ASSERT_TRUE(Run(beginning, 2, 0, &training)[0].ok());
  const TrainingState committed = training;
  Steps lost(steps.begin(), steps.begin() + 200);  // whose commit does not come about
  ASSERT_TRUE(Run(lost, 2, 100, &training)[0].ok());
  training = committed;
  ASSERT_TRUE(Run(steps, 2, 100, &training)[0].ok());
  const std::string resumed = Text();
  ASSERT_TRUE(Run(steps, 2, 0, &straight)[0].ok());
  EXPECT_EQ(training.SerializeAsString(), straight.SerializeAsString());
  size_t samples = 0;
  for (size_t at = 0; (at = resumed.find("\"kind\": \"row\"", at)) != std::string::npos; ++at) ++samples;
  EXPECT_EQ(samples, 2 * BadRowLog::kSamplesMax) << resumed;
  EXPECT_EQ(resumed.find("\"step\": 200"), std::string::npos) << "of the lost run";
}

TEST_F(BadRowLogTest, KindsAreBounded) {
  job_.mutable_data()->set_max_bad_rows(100000);
  Steps steps(1, {{}, {}});
  for (int i = 0; i < 1000; ++i) steps[0][i % 2].push_back(Bad(i, fmt::format("has {} fields", i)));
  TrainingState training;
  ASSERT_TRUE(Run(steps, 2, 0, &training)[0].ok());
  EXPECT_EQ(training.bad_rows_size(), static_cast<int>(BadRowCounts::kKindsMax) + 1);
  int64_t rows = 0;
  for (const BadRowCount& count : training.bad_rows()) rows += count.rows();
  EXPECT_EQ(rows, 1000);
}

}  // namespace
}  // namespace weir
