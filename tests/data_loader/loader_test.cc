#include "data_loader/loader.h"

#include <algorithm>
#include <numeric>

#include "data_loader/plan.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/loader_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

struct Step {
  std::vector<uint64_t> ids;  // by sample_index
  int64_t epoch = 0;
  LoaderPosition after;
  bool operator==(const Step& other) const { return ids == other.ids && epoch == other.epoch; }
};

void Merge(const StepBatch& part, std::vector<std::pair<int64_t, uint64_t>>* samples) {
  const Batch& batch = part.batch;
  ASSERT_EQ(batch.sparse.size(), 1u);
  ASSERT_EQ(batch.sparse[0].num_samples(), batch.num_samples);
  ASSERT_EQ(batch.numeric.size(), static_cast<size_t>(batch.num_samples));
  ASSERT_EQ(batch.sample_index.size(), static_cast<size_t>(batch.num_samples));
  EXPECT_TRUE(std::is_sorted(batch.sample_index.begin(), batch.sample_index.end()));
  for (int64_t i = 0; i < batch.num_samples; ++i) {
    ASSERT_EQ(batch.sparse[0].sample(i).size(), 1u);
    uint64_t id = batch.sparse[0].sample(i)[0];
    EXPECT_EQ(batch.numeric[i], static_cast<float>(id) / 2);
    EXPECT_EQ(batch.labels[i], static_cast<float>(id % 2));
    EXPECT_EQ(batch.weights[i], 1.0f);
    samples->emplace_back(batch.sample_index[i], id);
  }
}

// All steps over all workers.
std::vector<Step> ReadAll(const Job& job, const SourceConfig& source, LoaderOptions options, int num_workers,
                          const LoaderPosition& start = {}) {
  std::vector<std::unique_ptr<Loader>> loaders;
  for (int w = 0; w < num_workers; ++w) {
    options.worker = w;
    options.num_workers = num_workers;
    auto loader = Loader::Open(job, source, options, start);
    EXPECT_TRUE(loader.ok()) << loader.status().ToString();
    if (!loader.ok()) return {};
    loaders.push_back(std::move(loader).value());
  }
  std::vector<Step> steps;
  while (true) {
    std::vector<std::pair<int64_t, uint64_t>> samples;
    Step step;
    int more = 0;
    int64_t step_rows = 0;
    for (auto& loader : loaders) {
      StepBatch part;
      auto next = loader->Next(&part);
      EXPECT_TRUE(next.ok()) << next.status().ToString();
      if (!next.ok()) return steps;
      if (!*next) continue;
      ++more;
      Merge(part, &samples);
      step.epoch = part.epoch;
      step.after = loader->PositionAfter(part);
      step_rows = part.step_rows;
    }
    EXPECT_TRUE(more == 0 || more == num_workers);
    if (more == 0) return steps;
    std::sort(samples.begin(), samples.end());
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(samples[i].first, static_cast<int64_t>(i));
      step.ids.push_back(samples[i].second);
    }
    EXPECT_EQ(step_rows, static_cast<int64_t>(step.ids.size()));
    steps.push_back(std::move(step));
  }
}

std::vector<uint64_t> Flat(const std::vector<Step>& steps, int64_t epoch) {
  std::vector<uint64_t> ids;
  for (const Step& step : steps) {
    if (step.epoch == epoch) ids.insert(ids.end(), step.ids.begin(), step.ids.end());
  }
  return ids;
}

constexpr int64_t kRows = 500;

// In three files.
void WriteParquetFiles(const TempFolder& folder) {
  WriteParquet(folder / "a.parquet", NumberedRows(0, 230), 50);
  WriteParquet(folder / "b.parquet", NumberedRows(230, 70), 70);
  WriteParquet(folder / "c.parquet", NumberedRows(300, 200), 33);
}

// 500 rows in three Parquet files, or as many in one CSV.
class LoaderTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      std::string text = "id,label,x\n";
      for (int64_t id = 0; id < kRows; ++id) {
        text += std::to_string(id) + "," + std::to_string(id % 2) + "," + std::to_string(static_cast<double>(id) / 2) +
                "\n";
      }
      folder_.Write("rows.csv", text);
    } else {
      WriteParquetFiles(folder_);
    }
  }
  SourceConfig source() const { return Source(folder_.path()); }

  TempFolder folder_;
  Job job_ = IdJob();
};

INSTANTIATE_TEST_SUITE_P(Formats, LoaderTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Csv" : "Parquet"; });

TEST_P(LoaderTest, EveryRowIsSeenOnceAnEpoch) {
  std::vector<Step> steps = ReadAll(job_, source(), Options(64, 3), 1);
  ASSERT_EQ(steps.size(), 24u);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<uint64_t> ids = Flat(steps, epoch);
    std::sort(ids.begin(), ids.end());
    std::vector<uint64_t> all(kRows);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(ids, all);
  }
  EXPECT_NE(Flat(steps, 0), Flat(steps, 1));
  EXPECT_NE(Flat(steps, 1), Flat(steps, 2));
  EXPECT_EQ(steps[7].ids.size(), 500u % 64);
  EXPECT_EQ(steps[7].after.epoch(), 1);
  EXPECT_EQ(steps[7].after.samples(), 0);
}

TEST_P(LoaderTest, StepsDoNotDependOnTheWorkers) {
  for (bool shuffle : {true, false}) {
    LoaderOptions options = Options(70, 2);
    options.shuffle = shuffle;
    std::vector<Step> one = ReadAll(job_, source(), options, 1);
    for (int workers : {2, 3, 5}) EXPECT_EQ(ReadAll(job_, source(), options, workers), one) << workers << shuffle;
  }
}

TEST_P(LoaderTest, MoreWorkersThanRowGroupsAndRows) {
  LoaderOptions options = Options(100);
  std::vector<Step> steps = ReadAll(job_, source(), options, 40);
  std::vector<uint64_t> ids = Flat(steps, 0);
  std::sort(ids.begin(), ids.end());
  ASSERT_EQ(ids.size(), static_cast<size_t>(kRows));
  EXPECT_EQ(ids.front(), 0u);
  EXPECT_EQ(ids.back(), static_cast<uint64_t>(kRows - 1));
  options.streams = 40;
  EXPECT_EQ(ReadAll(job_, source(), options, 1), steps);
}

TEST_P(LoaderTest, WithoutShufflingTheFilesOrderStays) {
  LoaderOptions options = Options(64);
  options.shuffle = false;
  std::vector<uint64_t> ids = Flat(ReadAll(job_, source(), options, 3), 0);
  std::vector<uint64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(ids, all);
}

TEST_P(LoaderTest, AnyPositionResumesWithTheRest) {
  for (bool shuffle : {true, false}) {
    LoaderOptions options = Options(37, 2);
    options.shuffle = shuffle;
    std::vector<Step> steps = ReadAll(job_, source(), options, 2);
    for (size_t s = 0; s < steps.size(); s += 3) {
      std::vector<Step> rest = ReadAll(job_, source(), options, s % 2 == 0 ? 1 : 3, steps[s].after);
      EXPECT_EQ(rest, std::vector<Step>(steps.begin() + static_cast<int64_t>(s) + 1, steps.end())) << s << shuffle;
    }
    // Another batch size: other steps, the same samples.
    LoaderOptions other = options;
    other.batch_size = 91;
    std::vector<Step> rest = ReadAll(job_, source(), other, 2, steps[4].after);
    std::vector<uint64_t> undisturbed = Flat(steps, 0);
    EXPECT_EQ(Flat(rest, 0), std::vector<uint64_t>(undisturbed.begin() + 5 * 37, undisturbed.end()));
    EXPECT_EQ(Flat(rest, 1), Flat(steps, 1));
  }
}

TEST_P(LoaderTest, AFinishedRunHasNoMoreSteps) {
  std::vector<Step> steps = ReadAll(job_, source(), Options(100, 2), 1);
  EXPECT_EQ(steps.back().after.epoch(), 2);
  EXPECT_TRUE(ReadAll(job_, source(), Options(100, 2), 1, steps.back().after).empty());
  EXPECT_EQ(ReadAll(job_, source(), Options(100, 3), 1, steps.back().after).size(), 5u);
}

TEST_P(LoaderTest, OtherSeedsAndBlocksGiveOtherOrders) {
  LoaderOptions options = Options(500);
  std::vector<Step> first = ReadAll(job_, source(), options, 1);
  options.seed = 2;
  EXPECT_NE(ReadAll(job_, source(), options, 1), first);
  options.seed = 1;
  EXPECT_EQ(ReadAll(job_, source(), options, 1), first);
  EXPECT_NE(first[0].ids, (std::vector<uint64_t>(first[0].ids.rbegin(), first[0].ids.rend())));
}

// The ids of an epoch of the Parquet files, as plan.h says: streams in turn, each permuted in blocks of shuffle_rows.
std::vector<uint64_t> PlannedIds(const LoaderOptions& options, int64_t epoch) {
  const GroupRows groups = {{50, 50, 50, 50, 30}, {70}, {33, 33, 33, 33, 33, 33, 2}};
  const std::vector<uint64_t> first_ids = {0, 230, 300};
  const EpochPlan plan = PlanShuffledEpoch(options.seed, epoch, groups, options.streams);
  std::vector<std::vector<uint64_t>> streams;
  for (size_t s = 0; s < plan.streams.size(); ++s) {
    std::vector<uint64_t> rows, permuted;
    for (const Piece& piece : plan.streams[s]) {
      uint64_t id = first_ids[piece.file];
      for (int g = 0; g < piece.group; ++g) id += groups[piece.file][g];
      for (int64_t row = piece.begin; row < piece.end; ++row) rows.push_back(id + row);
    }
    for (int64_t begin = 0, block = 0; begin < static_cast<int64_t>(rows.size());
         begin += options.shuffle_rows, ++block) {
      const int64_t size = std::min<int64_t>(options.shuffle_rows, rows.size() - begin);
      for (int32_t row : PermuteBlock(options.seed, epoch, s, block, size)) permuted.push_back(rows[begin + row]);
    }
    streams.push_back(permuted);
  }
  TurnCursor cursor(plan.stream_rows, 0);
  std::vector<size_t> next(streams.size(), 0);
  std::vector<uint64_t> ids;
  for (int64_t i = 0; i < kRows; ++i) {
    const int s = cursor.Next();
    ids.push_back(streams[s][next[s]++]);
  }
  return ids;
}

TEST(Loader, TheOrderIsThePlansHoweverRowsAreDecoded) {
  TempFolder folder;
  WriteParquetFiles(folder);
  const Job job = IdJob();
  const SourceConfig source = Source(folder.path());
  for (const int64_t shuffle_rows : {1, 7, 16, 40, 1000}) {
    for (const int64_t decode_rows : {1, 5, 16, 24, 8192}) {
      LoaderOptions options = Options(64, 2);
      options.shuffle_rows = shuffle_rows;
      options.decode_rows = decode_rows;
      const std::vector<Step> steps = ReadAll(job, source, options, 2);
      for (int64_t epoch = 0; epoch < 2; ++epoch) {
        EXPECT_EQ(Flat(steps, epoch), PlannedIds(options, epoch)) << shuffle_rows << " " << decode_rows;
      }
      const std::vector<Step> rest = ReadAll(job, source, options, 3, steps[4].after);
      EXPECT_EQ(rest, std::vector<Step>(steps.begin() + 5, steps.end())) << shuffle_rows << " " << decode_rows;
    }
  }
}

TEST_P(LoaderTest, RefusesAPositionOnOtherFiles) {
  std::vector<Step> steps = ReadAll(job_, source(), Options(100), 1);
  LoaderPosition position = steps[0].after;
  position.mutable_files(0)->set_rows(7);
  ExpectError(Loader::Open(job_, source(), Options(100), position).status(), StatusCode::kFailedPrecondition,
              {position.files(0).path(), "7 rows"});
  position = steps[0].after;
  position.add_files()->set_path("/gone.csv");
  ExpectError(Loader::Open(job_, source(), Options(100), position).status(), StatusCode::kFailedPrecondition,
              {"/gone.csv", "missing"});
  position = steps[0].after;
  position.clear_files();
  ExpectError(Loader::Open(job_, source(), Options(100), position).status(), StatusCode::kFailedPrecondition,
              {"no files"});
}

TEST_P(LoaderTest, CanBeClosedAtAnyMoment) {
  for (int steps = 0; steps < 6; ++steps) {
    LoaderOptions options = Options(10, 1000);
    options.prefetch_batches = 1 + steps % 3;
    auto loader = Loader::Open(job_, source(), options, {});
    ASSERT_TRUE(loader.ok());
    StepBatch batch;
    for (int s = 0; s < steps; ++s) ASSERT_TRUE(*(*loader)->Next(&batch));
  }
}

TEST_P(LoaderTest, TheJobSaysTheOptions) {
  job_.mutable_train()->set_batch_size(128);
  job_.mutable_train()->set_eval_batch_size(256);
  job_.mutable_train()->set_epochs(4);
  LoaderOptions training = TrainingLoaderOptions(job_, 20, 24);
  EXPECT_EQ(training.batch_size, 128);
  EXPECT_EQ(training.epochs, 4);
  EXPECT_EQ(training.streams, 24);
  EXPECT_TRUE(training.shuffle);
  LoaderOptions evaluation = EvaluationLoaderOptions(job_, 0, 2);
  EXPECT_EQ(evaluation.batch_size, 256);
  EXPECT_EQ(evaluation.epochs, 1);
  EXPECT_FALSE(evaluation.shuffle);
}

}  // namespace
}  // namespace weir
