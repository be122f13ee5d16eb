// Rows with values that cannot be used, as they come out of the loader.
#include "data_loader/columns/bad_rows.h"

#include <set>

#include <fmt/format.h>

#include "data_loader/extractor.h"
#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/loader_fixture.h"

namespace weir {
namespace {

constexpr int64_t kRows = 500;

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
  *counted = 0;
  StepBatch step;
  while ((*loader)->Next(&step).value()) {
    *counted += static_cast<int64_t>(step.bad_rows.size());
    for (int64_t i = 0; i < step.batch.num_samples; ++i) {
      ids.push_back(step.batch.sparse[0].sample(i)[0]);
      EXPECT_EQ(step.batch.numeric[i], static_cast<float>(ids.back()) / 2);
    }
  }
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

// All that a loader gives.
struct Read {
  Status status;
  std::vector<std::string> ids;  // of the samples
  Batch samples;                 // numeric and the first sparse feature only
  std::vector<FileBadRow> bad;   // path: gone
};

Read ReadAll(const Job& job, const std::string& path, bool shuffle, int64_t batch_size = 48) {
  LoaderOptions options = Options(batch_size);
  options.shuffle = shuffle;
  options.decode_rows = 24;
  options.max_bad_rows = job.data().max_bad_rows();
  options.id_column = job.data().ledger().column();
  auto loader = Loader::Open(job, Source(path), options, {});
  Read read{loader.status(), {}, EmptyBatch(job), {}};
  if (!loader.ok()) return read;
  StepBatch step;
  while (true) {
    const Result<bool> more = (*loader)->Next(&step);
    read.status = more.status();
    if (!more.ok() || !*more) return read;
    for (int64_t i = 0; i < step.batch.ids.size(); ++i) read.ids.emplace_back(step.batch.ids[i]);
    for (float x : step.batch.numeric) read.samples.numeric.push_back(x);
    for (int64_t i = 0; !step.batch.sparse.empty() && i < step.batch.num_samples; ++i) {
      for (uint64_t key : step.batch.sparse[0].sample(i)) read.samples.sparse[0].values.push_back(key);
      read.samples.sparse[0].EndSample();
    }
    read.samples.num_samples += step.batch.num_samples;
    for (FileBadRow row : step.bad_rows) {
      EXPECT_EQ(*row.path, path);
      read.bad.push_back({nullptr, row.fault, row.id});
    }
  }
}

// tag by identity with the default 7, x with the default 0.5; labels; ids "a", "b", ...
Job PolicyJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  job.mutable_data()->set_max_bad_rows(100);
  SparseConfig* tag = AddSparse(&job, "tag")->mutable_sparse();
  tag->set_identity(true);
  tag->set_type(SparseConfig::INTEGER);
  tag->set_default_value("7");
  AddNumeric(&job, "x")->set_default_value(0.5);
  job.mutable_data()->mutable_ledger()->set_column("id");
  return job;
}

constexpr char kPolicyRows[] =
    "id,tag,x,label\n"
    "a,1,1,1\n"
    "b,two,2,0\n"
    "c,3,three,1\n"
    "d,4,4,yes\n"
    "e,five,5,no\n"
    "f,6,6,0\n";

TEST(BadRowPolicies, ADefaultTakesTheValuesPlace) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", kPolicyRows);
  Job job = PolicyJob();
  job.mutable_data()->set_on_bad_row(DataConfig::DEFAULT);
  const Read read = ReadAll(job, path, /*shuffle=*/false);
  ASSERT_TRUE(read.status.ok()) << read.status.ToString();
  // Labels have no default.
  EXPECT_EQ(read.ids, (std::vector<std::string>{"a", "b", "c", "f"}));
  EXPECT_EQ(read.samples.sparse[0].values, (std::vector<uint64_t>{1, 7, 3, 6}));
  EXPECT_EQ(read.samples.numeric, (std::vector<float>{1, 2, 0.5, 6}));
  ASSERT_EQ(read.bad.size(), 4u);
  EXPECT_TRUE(read.bad[0].fault.is_kept());
  EXPECT_EQ(read.bad[0].id, "b");
  EXPECT_EQ(read.bad[0].fault.row, 1);
  EXPECT_FALSE(read.bad[2].fault.is_kept());
  EXPECT_EQ(read.bad[3].fault.column, "label") << "what leaves the row out is graver";
}

TEST(BadRowPolicies, WithoutADefaultThereIsNoKey) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", kPolicyRows);
  Job job = PolicyJob();
  job.mutable_features(0)->set_on_bad_row(DataConfig::DEFAULT);
  job.mutable_features(0)->mutable_sparse()->clear_default_value();
  const Read read = ReadAll(job, path, /*shuffle=*/false);
  ASSERT_TRUE(read.status.ok()) << read.status.ToString();
  EXPECT_EQ(read.ids, (std::vector<std::string>{"a", "b", "f"}));
  EXPECT_EQ(read.samples.sparse[0].offsets, (std::vector<int32_t>{0, 1, 1, 2}));
}

TEST(BadRowPolicies, OneColumnStops) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", kPolicyRows);
  for (const bool shuffle : {false, true}) {
    Job job = PolicyJob();
    job.mutable_features(1)->set_on_bad_row(DataConfig::STOP);
    ExpectError(ReadAll(job, path, shuffle).status, StatusCode::kInvalidArgument,
                {path, "row 3", "column x is no number", "'three'", "STOP"});
    job = PolicyJob();
    job.mutable_data()->mutable_label()->set_on_bad_row(DataConfig::STOP);
    ExpectError(ReadAll(job, path, shuffle).status, StatusCode::kInvalidArgument, {path, "column label", "STOP"});
  }
}

TEST(BadRowPolicies, WeightsHaveOneAsDefault) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", "id,tag,x,label,w\na,1,1,1,0\nb,2,2,0,3\n");
  Job job = PolicyJob();
  job.mutable_data()->set_weight_column("w");
  EXPECT_EQ(ReadAll(job, path, false).ids, std::vector<std::string>{"b"});
  job.mutable_data()->set_on_bad_weight(DataConfig::DEFAULT);
  auto loader = Loader::Open(job, Source(path),
                             [] {
                               LoaderOptions options = Options(10);
                               options.shuffle = false;
                               options.max_bad_rows = 1;
                               return options;
                             }(),
                             {});
  StepBatch step;
  ASSERT_TRUE(*(*loader)->Next(&step));
  EXPECT_EQ(step.batch.weights, (std::vector<float>{1, 3}));
  EXPECT_EQ(step.bad_rows.size(), 1u);
  EXPECT_TRUE(step.batch.ids.empty()) << "nobody asked for them";
}

TEST(BadRowPolicies, IdsFollowTheirSamples) {
  TempFolder folder;
  std::string text = "id,tag,x,label\n";
  for (int i = 0; i < 300; ++i) text += fmt::format("id{},{},{},{}\n", i, i, i, i % 50 == 0 ? "bad" : "1");
  const std::string path = folder.Write("a.csv", text);
  for (const bool shuffle : {false, true}) {
    const Read read = ReadAll(PolicyJob(), path, shuffle);
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
    ASSERT_EQ(read.ids.size(), 294u);
    for (size_t i = 0; i < read.ids.size(); ++i) {
      EXPECT_EQ(read.ids[i], fmt::format("id{}", read.samples.sparse[0].values[i]));
    }
    ASSERT_EQ(read.bad.size(), 6u);
    for (const FileBadRow& row : read.bad) EXPECT_EQ(row.id, fmt::format("id{}", row.fault.row));
  }
}

TEST(BadRowPolicies, AMissingIdIsABadRow) {
  TempFolder folder;
  const std::string path =
      folder.Write("a.csv", "id,tag,x,label\n,1,1,1\n" + std::string(1025, 'i') + ",2,2,0\nc,3,3,0\n");
  const Read read = ReadAll(PolicyJob(), path, false);
  EXPECT_EQ(read.ids, std::vector<std::string>{"c"});
  ASSERT_EQ(read.bad.size(), 2u);
  EXPECT_EQ(read.bad[0].fault.reason, "is missing");
  EXPECT_EQ(read.bad[1].fault.reason, "is longer than 1024 bytes");
}

// Rows with another number of fields at these places, in file order or permuted: every other row is where it was.
void CheckRagged(const std::set<int64_t>& ragged, int64_t rows, bool shuffle) {
  TempFolder folder;
  std::string text = "id,tag,x,label\n\n";
  for (int64_t i = 0; i < rows; ++i) {
    text += ragged.contains(i) ? (i % 2 == 0 ? fmt::format("{},1\n", i) : fmt::format("\"{}\n\",1,2,1,9,9\n", i))
                               : fmt::format("\"{}\",{},{},1\n", i, i, i);
    if (i % 7 == 0) text += "\n";
  }
  const std::string path = folder.Write("a.csv", text);
  Job job = PolicyJob();
  job.mutable_data()->set_on_bad_row(DataConfig::DEFAULT);
  job.mutable_data()->set_max_bad_rows(rows);
  const Read read = ReadAll(job, path, shuffle, /*batch_size=*/1000);
  ASSERT_TRUE(read.status.ok()) << read.status.ToString();
  EXPECT_EQ(read.samples.num_samples, rows - static_cast<int64_t>(ragged.size()));
  for (size_t i = 0; i < read.ids.size(); ++i) {
    ASSERT_EQ(read.ids[i], fmt::format("{}", read.samples.sparse[0].values[i]));
    ASSERT_FALSE(ragged.contains(static_cast<int64_t>(read.samples.sparse[0].values[i])));
  }
  std::set<int64_t> found;
  for (const FileBadRow& row : read.bad) {
    found.insert(row.fault.row);
    EXPECT_EQ(row.fault.column, "");
    EXPECT_EQ(row.fault.reason, row.fault.row % 2 == 0 ? "has 2 fields, expected 4" : "has 6 fields, expected 4");
  }
  EXPECT_EQ(found, ragged);
}

TEST(BadRowPolicies, CsvRowsWithAnotherNumberOfFieldsKeepTheirPlaces) {
  for (const bool shuffle : {false, true}) {
    CheckRagged({0, 1, 2, 50, 99}, 100, shuffle);
    CheckRagged({8190, 8191, 8192, 12000, 19999}, 20000, shuffle);
    CheckRagged({0, 1}, 2, shuffle);
  }
}

TEST(BadRowPolicies, CsvRowsWithAnotherNumberOfFieldsMayStop) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", "id,tag,x,label\na,1,1,1\nb,2\nc,3,x,bad\n");
  Job job = PolicyJob();
  job.mutable_data()->mutable_csv()->set_on_bad_row(DataConfig::STOP);
  ExpectError(ReadAll(job, path, false).status, StatusCode::kInvalidArgument,
              {path, "row 2: the row has 2 fields, expected 4: found 'b,2'", "STOP"});
}

}  // namespace
}  // namespace weir
