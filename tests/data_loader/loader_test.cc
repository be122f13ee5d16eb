#include "data_loader/loader.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "data_loader/columns/key.h"
#include "data_loader/plan.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

// id by identity, x as it is: a sample tells which row it was.
Job IdJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "id")->mutable_sparse()->set_identity(true);
  AddNumeric(&job, "x");
  return job;
}

LoaderOptions Options(int64_t batch_size, int64_t epochs = 1) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.epochs = epochs;
  options.streams = 6;
  options.shuffle_rows = 16;
  return options;
}

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

// Ids in their order, and the bad rows among them counted. Each id's label is a digit, or 'x' if it is bad.
std::vector<uint64_t> IdsWithout(const std::set<int64_t>& bad, int64_t shuffle_rows, int64_t begin, int64_t* counted) {
  TempFolder folder;
  std::string text = "id,label,x\n";
  for (int64_t id = 0; id < kRows; ++id) text += fmt::format("{},{},{}\n", id, bad.contains(id) ? "x" : "1", id * 0.5);
  folder.Write("rows.csv", text);
  LoaderOptions options = Options(48);
  options.shuffle_rows = shuffle_rows;
  options.decode_rows = 24;
  options.max_bad_rows = 100;
  const Job job = IdJob();
  LoaderPosition start;
  if (begin > 0) {
    auto whole = Loader::Open(job, Source(folder.path()), options, {});
    StepBatch step;
    EXPECT_TRUE((*whole)->Next(&step).value());
    start = (*whole)->PositionAfter(step);
    start.set_samples(begin);
  }
  auto loader = Loader::Open(job, Source(folder.path()), options, start);
  EXPECT_TRUE(loader.ok()) << loader.status().ToString();
  std::vector<uint64_t> ids;
  StepBatch step;
  while ((*loader)->Next(&step).value()) {
    for (int64_t i = 0; i < step.batch.num_samples; ++i) {
      ids.push_back(step.batch.sparse[0].sample(i)[0]);
      EXPECT_EQ(step.batch.numeric[i], static_cast<float>(ids.back()) / 2);
    }
  }
  *counted = 0;
  for (const BadRows& rows : (*loader)->bad_rows()) *counted += rows.rows;
  return ids;
}

TEST(Loader, BadRowsLeaveTheOthersInTheirPlaces) {
  const std::set<int64_t> bad = {0, 7, 8, 100, 101, 250, 333, 498, 499};
  for (const int64_t shuffle_rows : {1, 16, 30, 200}) {
    for (const int64_t begin : {0, 100}) {
      int64_t counted = 0;
      std::vector<uint64_t> expected = IdsWithout({}, shuffle_rows, begin, &counted);
      EXPECT_EQ(counted, 0);
      const int64_t bad_of_these =
          std::erase_if(expected, [&](uint64_t id) { return bad.contains(static_cast<int64_t>(id)); });
      EXPECT_EQ(IdsWithout(bad, shuffle_rows, begin, &counted), expected) << shuffle_rows << " " << begin;
      EXPECT_EQ(counted, bad_of_these);
    }
  }
}

TEST(Loader, TrimsMissesAndQuotesInCsv) {
  TempFolder folder;
  folder.Write("a.data",
               "\xEF\xBB\xBF age, job , pay\n"
               "39, clerk, <=50K\n"
               " ?, \"a, b\", >50K.\n"
               "\n"
               "17,\"a, \"\"b\"\"\nc\", >50K\n");
  Job job;
  job.mutable_data()->mutable_label()->set_column("pay");
  job.mutable_data()->mutable_label()->add_positive(">50K");
  job.mutable_data()->mutable_label()->add_positive(">50K.");
  job.mutable_data()->mutable_csv()->add_null_values("?");
  AddNumeric(&job, "age")->set_default_value(-1);
  AddSparse(&job, "job");
  LoaderOptions options = Options(10);
  options.shuffle = false;
  auto loader = Loader::Open(job, Source(folder / "a.data"), options, {});
  // ` "a, b"` does not begin with its quote and so has a comma too many.
  StepBatch step;
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  ExpectError((*loader)->Next(&step).status(), StatusCode::kInvalidArgument, {"a.data", "expected 3 fields, found 4"});

  folder.Write("b.data",
               "age, job , pay\r\n39, clerk, <=50K\r\n ?,\"a, b\", >50K.\r\n\r\n17,\"a, \"\"b\"\"\nc\", >50K\r\n");
  loader = Loader::Open(job, Source(folder / "b.data"), options, {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  auto next = (*loader)->Next(&step);
  ASSERT_TRUE(next.ok()) << next.status().ToString();
  EXPECT_EQ(step.batch.numeric, (std::vector<float>{39, -1, 17}));
  EXPECT_EQ(step.batch.labels, (std::vector<float>{0, 1, 1}));
  KeyRule rule("job", 0, false);
  EXPECT_EQ(step.batch.sparse[0].values,
            (std::vector<uint64_t>{rule.OfString("clerk"), rule.OfString("a, b"), rule.OfString("a, \"b\"\nc")}));
}

TEST(Loader, ReadsTsvWithoutAHeader) {
  TempFolder folder;
  folder.Write("a.tsv", "1\t0.5\t68fd1e64\n0\t\t\n");
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  CsvConfig* csv = job.mutable_data()->mutable_csv();
  csv->set_header(false);
  csv->add_column_names("label");
  csv->add_column_names("I[1-1]");
  csv->add_column_names("C1");
  AddNumeric(&job, "I1");
  AddSparse(&job, "C1");
  LoaderOptions options = Options(10);
  options.shuffle = false;
  auto loader = Loader::Open(job, Source(folder / "a.tsv"), options, {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch step;
  ASSERT_TRUE((*loader)->Next(&step).ok());
  EXPECT_EQ(step.batch.numeric, (std::vector<float>{0.5, 0}));
  EXPECT_EQ(step.batch.sparse[0].values, std::vector<uint64_t>{KeyRule("C1", 0, false).OfString("68fd1e64")});
  EXPECT_EQ(step.batch.sparse[0].offsets, (std::vector<int32_t>{0, 1, 1}));
}

// One row group that all streams share: each begins in its middle, where the pages of the columns, whose values are of
// very different sizes, do not end at the same rows.
TEST(Loader, StreamsBeginInTheMiddleOfARowGroup) {
  TempFolder folder;
  constexpr int64_t kMany = 5000;
  arrow::StringDictionaryBuilder coded;
  std::vector<std::string> texts;
  std::vector<int64_t> ids;
  std::vector<int32_t> labels;
  for (int64_t id = 0; id < kMany; ++id) {
    ids.push_back(id);
    labels.push_back(static_cast<int32_t>(id % 2));
    texts.push_back(std::string(static_cast<size_t>(id % 97), 'x') + std::to_string(id));
    ASSERT_TRUE((id % 5 == 0 ? coded.AppendNull() : coded.Append("c" + std::to_string(id % 7))).ok());
  }
  WriteParquet(folder / "a.parquet",
               MakeTable({{"id", MakeArray<arrow::Int64Builder>(ids)},
                          {"text", MakeArray<arrow::StringBuilder>(texts)},
                          {"coded", coded.Finish().ValueOrDie()},
                          {"label", MakeArray<arrow::Int32Builder>(labels)}}),
               kMany);
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "id")->mutable_sparse()->set_identity(true);
  AddSparse(&job, "text");
  AddSparse(&job, "coded");
  auto loader = Loader::Open(job, Source(folder / "a.parquet"), Options(128), {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  KeyRule text("text", 0, false), code("coded", 0, false);
  StepBatch step;
  std::vector<uint64_t> seen;
  while (true) {
    auto more = (*loader)->Next(&step);
    ASSERT_TRUE(more.ok()) << more.status().ToString();
    if (!*more) break;
    for (int64_t i = 0; i < step.batch.num_samples; ++i) {
      uint64_t id = step.batch.sparse[0].sample(i)[0];
      seen.push_back(id);
      ASSERT_EQ(step.batch.sparse[1].sample(i)[0], text.OfString(texts[id]));
      ASSERT_EQ(step.batch.sparse[2].sample(i).size(), id % 5 == 0 ? 0u : 1u);
      if (id % 5 != 0) {
        ASSERT_EQ(step.batch.sparse[2].sample(i)[0], code.OfString("c" + std::to_string(id % 7)));
      }
      ASSERT_EQ(step.batch.labels[i], static_cast<float>(id % 2));
    }
  }
  std::sort(seen.begin(), seen.end());
  std::vector<uint64_t> all(kMany);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

TEST(Loader, ShuffledSamplesKeepTheirListsAndWeights) {
  TempFolder folder;
  arrow::ListBuilder tags(arrow::default_memory_pool(), std::make_shared<arrow::Int32Builder>());
  auto& values = static_cast<arrow::Int32Builder&>(*tags.value_builder());
  arrow::ListBuilder shares(arrow::default_memory_pool(), std::make_shared<arrow::FloatBuilder>());
  auto& weights = static_cast<arrow::FloatBuilder&>(*shares.value_builder());
  std::vector<int64_t> ids;
  std::vector<float> xs;
  std::vector<int32_t> labels;
  for (int id = 0; id < 300; ++id) {
    ASSERT_TRUE(tags.Append().ok());
    ASSERT_TRUE(shares.Append().ok());
    for (int tag = 0; tag < id % 4; ++tag) {
      ASSERT_TRUE(values.Append(id * 10 + tag).ok());
      ASSERT_TRUE(weights.Append(static_cast<float>(id) + 0.25f * static_cast<float>(tag)).ok());
    }
    ids.push_back(id);
    xs.push_back(static_cast<float>(id) / 2);
    labels.push_back(id % 2);
  }
  WriteParquet(folder / "a.parquet",
               MakeTable({{"id", MakeArray<arrow::Int64Builder>(ids)},
                          {"tags", tags.Finish().ValueOrDie()},
                          {"shares", shares.Finish().ValueOrDie()},
                          {"x", MakeArray<arrow::FloatBuilder>(xs)},
                          {"label", MakeArray<arrow::Int32Builder>(labels)}}),
               64);
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  for (const auto& [column, weight_column] : {std::pair("id", "x"), std::pair("tags", "shares")}) {
    SparseConfig* sparse = AddSparse(&job, column)->mutable_sparse();
    sparse->set_identity(true);
    sparse->set_pooling(SparseConfig::WEIGHTED_SUM);
    sparse->set_weight_column(weight_column);
  }
  auto loader = Loader::Open(job, Source(folder / "a.parquet"), Options(50), {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch step;
  int64_t seen = 0;
  while (*(*loader)->Next(&step)) {
    for (int64_t i = 0; i < step.batch.num_samples; ++i, ++seen) {
      uint64_t id = step.batch.sparse[0].sample(i)[0];
      auto tags_of = step.batch.sparse[1].sample(i);
      ASSERT_EQ(tags_of.size(), id % 4);
      EXPECT_EQ(step.batch.sparse[0].weights[i], static_cast<float>(id) / 2);
      const float* weights_of = step.batch.sparse[1].weights.data() + step.batch.sparse[1].offsets[i];
      for (size_t t = 0; t < tags_of.size(); ++t) {
        EXPECT_EQ(tags_of[t], id * 10 + t);
        EXPECT_EQ(weights_of[t], static_cast<float>(id) + 0.25f * static_cast<float>(t));
      }
    }
    for (const Jagged& feature : step.batch.sparse) ASSERT_EQ(feature.weights.size(), feature.values.size());
  }
  EXPECT_EQ(seen, 300);
}

TEST(Loader, WeightsOfSplitStringsInCsv) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv",
                                        "label,tags,shares\n"
                                        "1,7|8,0.5|-2\n"
                                        "0,,\n"
                                        "1,9|7,1\n"
                                        "0,9,+3e1\n");
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  job.mutable_data()->set_max_bad_rows(1);
  SparseConfig* sparse = AddSparse(&job, "tags")->mutable_sparse();
  sparse->set_type(SparseConfig::INTEGER);
  sparse->set_identity(true);
  sparse->set_split("|");
  sparse->set_pooling(SparseConfig::WEIGHTED_SUM);
  sparse->set_weight_column("shares");
  LoaderOptions options = Options(4);
  options.shuffle = false;
  options.max_bad_rows = 1;
  auto loader = Loader::Open(job, Source(path), options, {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch step;
  ASSERT_TRUE(*(*loader)->Next(&step));
  EXPECT_EQ(step.batch.num_samples, 3);
  EXPECT_EQ(step.batch.sparse[0].values, (std::vector<uint64_t>{7, 8, 9}));
  EXPECT_EQ(step.batch.sparse[0].offsets, (std::vector<int32_t>{0, 2, 2, 3}));
  EXPECT_EQ(step.batch.sparse[0].weights, (std::vector<float>{0.5f, -2, 30}));
}

}  // namespace
}  // namespace weir
