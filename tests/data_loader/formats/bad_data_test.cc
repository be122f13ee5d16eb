// What a lake can have wrong, and what the loader says of it.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <tuple>

#include "data_loader/formats/lake_file.h"
#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

Job IdJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "id");
  AddNumeric(&job, "x");
  return job;
}

LoaderOptions Options() {
  LoaderOptions options;
  options.batch_size = 100;
  return options;
}

Status OpenStatus(const Job& job, const std::string& uri) {
  return Loader::Open(job, Source(uri), Options(), {}).status();
}

void AppendRows(const Batch& step, Batch* rows) {
  rows->num_samples += step.num_samples;
  rows->sparse.resize(step.sparse.size());
  for (size_t f = 0; f < step.sparse.size(); ++f) {
    for (int64_t i = 0; i < step.num_samples; ++i) {
      const auto keys = step.sparse[f].sample(i);
      rows->sparse[f].values.insert(rows->sparse[f].values.end(), keys.begin(), keys.end());
      rows->sparse[f].EndSample();
    }
  }
  const auto append = [](const std::vector<float>& from, std::vector<float>* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  append(step.numeric, &rows->numeric);
  append(step.labels, &rows->labels);
  append(step.weights, &rows->weights);
}

// Bad rows that were read, by column and reason.
struct BadRows {
  std::string column;
  std::string reason;
  int64_t rows = 0;
};

void Count(const std::vector<FileBadRow>& found, std::vector<BadRows>* rows) {
  for (const FileBadRow& row : found) {
    const auto same = [&](const BadRows& of) { return of.column == row.fault.column && of.reason == row.fault.reason; };
    auto at = std::find_if(rows->begin(), rows->end(), same);
    if (at == rows->end()) at = rows->insert(at, {row.fault.column, row.fault.reason, 0});
    ++at->rows;
  }
  std::sort(rows->begin(), rows->end(), [](const BadRows& a, const BadRows& b) {
    return std::tie(a.column, a.reason) < std::tie(b.column, b.reason);
  });
}

// Opens and reads to the end: the first error, or OK. samples: those that came; rows: they themselves.
Status ReadStatus(const Job& job, const std::string& uri, LoaderOptions options, int64_t* samples = nullptr,
                  std::vector<BadRows>* bad = nullptr, Batch* rows = nullptr) {
  auto loader = Loader::Open(job, Source(uri), options, {});
  if (!loader.ok()) return loader.status();
  StepBatch step;
  while (true) {
    auto more = (*loader)->Next(&step);
    if (!more.ok() || !*more) return more.status();
    if (bad != nullptr) Count(step.bad_rows, bad);
    if (samples != nullptr) *samples += step.batch.num_samples;
    if (rows != nullptr) AppendRows(step.batch, rows);
  }
}

bool SameRows(const Batch& a, const Batch& b) {
  if (a.num_samples != b.num_samples || a.sparse.size() != b.sparse.size()) return false;
  for (size_t f = 0; f < a.sparse.size(); ++f) {
    if (a.sparse[f].values != b.sparse[f].values || a.sparse[f].offsets != b.sparse[f].offsets) return false;
  }
  return a.numeric == b.numeric && a.labels == b.labels && a.weights == b.weights;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(BadData, NoFiles) {
  TempFolder folder;
  ExpectError(OpenStatus(IdJob(), folder / "*.parquet"), StatusCode::kNotFound, {folder / "*.parquet"});
}

TEST(BadData, AnEmptyFile) {
  TempFolder folder;
  folder.Write("a.parquet", "");
  ExpectError(OpenStatus(IdJob(), folder / "a.parquet"), StatusCode::kInvalidArgument, {folder / "a.parquet", "empty"});
  folder.Write("b.csv", "");
  ExpectError(OpenStatus(IdJob(), folder / "b.csv"), StatusCode::kInvalidArgument, {folder / "b.csv", "empty"});
}

TEST(BadData, NoRowsAtAll) {
  TempFolder folder;
  folder.Write("a.csv", "id,x,label\n");
  ExpectError(OpenStatus(IdJob(), folder / "a.csv"), StatusCode::kInvalidArgument,
              {folder / "a.csv", "at least one row"});
  WriteParquet(folder / "b.parquet", NumberedRows(0, 0), 10);
  ExpectError(OpenStatus(IdJob(), folder / "b.parquet"), StatusCode::kInvalidArgument, {"at least one row"});
}

TEST(BadData, AMissingColumnNamesTheNearest) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 10), 10);
  Job job = IdJob();
  AddSparse(&job, "lable");
  ExpectError(OpenStatus(job, folder / "a.parquet"), StatusCode::kInvalidArgument,
              {folder / "a.parquet", "feature lable", "'lable'", "label"});
}

TEST(BadData, EveryFileIsChecked) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 10), 10);
  WriteParquet(folder / "b.parquet", NumberedRows(0, 10)->RemoveColumn(1).ValueOrDie(), 10);
  ExpectError(OpenStatus(IdJob(), folder.path()), StatusCode::kInvalidArgument, {folder / "b.parquet", "'x'"});
}

TEST(BadData, AWrongType) {
  TempFolder folder;
  auto table = MakeTable({{"id", MakeArray<arrow::DoubleBuilder>(std::vector<double>{1.5})},
                          {"x", MakeArray<arrow::StringBuilder>(std::vector<std::string>{"1"})},
                          {"label", MakeArray<arrow::Int32Builder>(std::vector<int32_t>{1})}});
  WriteParquet(folder / "a.parquet", table, 10);
  ExpectError(OpenStatus(IdJob(), folder / "a.parquet"), StatusCode::kInvalidArgument,
              {folder / "a.parquet", "column id", "expects int8", "found double"});
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddNumeric(&job, "x");
  ExpectError(OpenStatus(job, folder / "a.parquet"), StatusCode::kInvalidArgument,
              {folder / "a.parquet", "column x", "numeric feature expects", "found string"});
}

TEST(BadData, FilesThatWouldBeHashedApart) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 10), 10);
  auto table = NumberedRows(0, 1);
  auto id = MakeArray<arrow::StringBuilder>(std::vector<std::string>{"1"});
  table =
      table->SetColumn(0, arrow::field("id", arrow::utf8()), std::make_shared<arrow::ChunkedArray>(id)).ValueOrDie();
  WriteParquet(folder / "b.parquet", table, 10);
  ExpectError(OpenStatus(IdJob(), folder.path()), StatusCode::kInvalidArgument,
              {folder / "b.parquet", "feature id", "expected integers", "found strings"});
}

TEST(BadData, ATornParquetFile) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 1000), 100);
  std::string whole = ReadFile(folder / "a.parquet");
  for (size_t size : {whole.size() - 1, whole.size() / 2, size_t{12}, size_t{3}}) {
    folder.Write("a.parquet", whole.substr(0, size));
    ExpectError(OpenStatus(IdJob(), folder / "a.parquet"), StatusCode::kDataLoss, {folder / "a.parquet"});
  }
}

TEST(BadData, AFileTornAfterItWasOpened) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 100000), 50000);
  std::string whole = ReadFile(folder / "a.parquet");
  LoaderOptions options = Options();
  options.shuffle = false;
  options.prefetch_batches = 1;
  auto loader = Loader::Open(IdJob(), Source(folder / "a.parquet"), options, {});
  ASSERT_TRUE(loader.ok());
  StepBatch step;
  ASSERT_TRUE((*loader)->Next(&step).ok());
  folder.Write("a.parquet", whole.substr(0, whole.size() / 8));
  Status status;
  while (status.ok()) {
    auto more = (*loader)->Next(&step);
    status = more.status();
    if (more.ok() && !*more) break;
  }
  ExpectError(status, StatusCode::kDataLoss, {folder / "a.parquet"});
  // The error stays.
  ExpectError((*loader)->Next(&step).status(), StatusCode::kDataLoss, {folder / "a.parquet"});
}

TEST(BadData, AFlippedBitInADataPage) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 1000), 1000);
  std::string whole = ReadFile(folder / "a.parquet");
  // The ids are plain, 8 bytes each: find one and flip a bit of it, so that nothing but the checksum can tell.
  int64_t id = 500;
  size_t at = whole.find(std::string(reinterpret_cast<const char*>(&id), 8));
  ASSERT_NE(at, std::string::npos);
  whole[at] ^= 4;
  folder.Write("a.parquet", whole);
  ExpectError(ReadStatus(IdJob(), folder / "a.parquet", Options()), StatusCode::kDataLoss,
              {folder / "a.parquet", "CRC"});
}

TEST(BadData, FlippedBitsNeverPassUnseen) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 200), 50);
  const std::string whole = ReadFile(folder / "a.parquet");
  LoaderOptions options = Options();
  options.shuffle = false;
  Batch expected, read;
  ASSERT_TRUE(ReadStatus(IdJob(), folder / "a.parquet", options, nullptr, nullptr, &expected).ok());
  ASSERT_EQ(expected.num_samples, 200);
  int64_t refused = 0, tried = 0;
  for (size_t at = 4; at < whole.size() * 3 / 4; at += 37, ++tried) {
    std::string flipped = whole;
    flipped[at] ^= static_cast<char>(1 << (at % 8));
    folder.Write("a.parquet", flipped);
    read = Batch();
    Status status = ReadStatus(IdJob(), folder / "a.parquet", options, nullptr, nullptr, &read);
    refused += !status.ok();
    if (status.ok()) {
      // Bits of a page's header that nobody reads may flip, but then the rows are those that were written.
      EXPECT_TRUE(SameRows(read, expected)) << "byte " << at;
    }
    EXPECT_TRUE(status.ok() || status.message().find(folder / "a.parquet") != std::string::npos) << status.ToString();
  }
  EXPECT_GT(refused, tried * 8 / 10);
}

// A file whose footer says what the test wants.
class ClaimingFile : public LakeFile {
 public:
  ClaimingFile() : LakeFile(Entry()) {}
  Status Claim(const std::vector<int64_t>& rows) {
    std::vector<RowGroup> groups;
    for (int64_t n : rows) groups.push_back({n});
    return SetContents(arrow::schema(arrow::FieldVector()), std::move(groups));
  }
  Result<std::unique_ptr<RowReader>> Read(int, int64_t, int64_t, const std::vector<std::string>&,
                                          int64_t) const override {
    return Internal("nothing to read");
  }

 private:
  static LakeEntry Entry() {
    LakeEntry entry;
    entry.path = "claims.parquet";
    entry.bytes = 100;
    return entry;
  }
};

TEST(BadData, RowCountsThatCannotBe) {
  ExpectError(ClaimingFile().Claim({5, -1}), StatusCode::kDataLoss, {"claims.parquet", "row group 1", "-1"});
  ExpectError(ClaimingFile().Claim({INT64_MAX - 5, 5, 1}), StatusCode::kDataLoss, {"claims.parquet", "row group 2"});
  EXPECT_TRUE(ClaimingFile().Claim({INT64_MAX - 5, 5}).ok());
}

TEST(BadData, AStrangerIsNoParquetFile) {
  TempFolder folder;
  folder.Write("a.parquet", std::string(5000, 'x'));
  ExpectError(OpenStatus(IdJob(), folder / "a.parquet"), StatusCode::kDataLoss, {folder / "a.parquet"});
  WriteParquet(folder / "b.data", NumberedRows(0, 10), 10);
  ExpectError(OpenStatus(IdJob(), folder / "b.data"), StatusCode::kInvalidArgument,
              {folder / "b.data", "this is Parquet"});
}

std::shared_ptr<arrow::Table> WithBadValues() {
  float nan = std::nanf("");
  return MakeTable({{"id", MakeArray<arrow::Int64Builder>(std::vector<int64_t>{1, 2, 3, 4, 5})},
                    {"x", MakeArray<arrow::FloatBuilder>(std::vector<float>{1, nan, 3, INFINITY, 5})},
                    {"label", MakeArray<arrow::FloatBuilder>(std::vector<float>{0, 1, 1, nan, 2})}});
}

TEST(BadData, TheFirstBadRowStopsTheRun) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", WithBadValues(), 10);
  LoaderOptions options = Options();
  options.shuffle = false;
  ExpectError(ReadStatus(IdJob(), folder / "a.parquet", options), StatusCode::kInvalidArgument,
              {folder / "a.parquet", "row 2", "column x", "is NaN", "'nan'", "data.max_bad_rows is 0", "raise"});
}

TEST(BadData, BadRowsAreSkippedAndCountedUpToTheLimit) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", WithBadValues(), 2);
  for (bool shuffle : {false, true}) {
    LoaderOptions options = Options();
    options.shuffle = shuffle;
    options.max_bad_rows = 3;
    options.epochs = 2;  // the limit is an epoch's
    int64_t samples = 0;
    std::vector<BadRows> bad;
    Status status = ReadStatus(IdJob(), folder / "a.parquet", options, &samples, &bad);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(samples, 4);
    ASSERT_EQ(bad.size(), 2u);
    EXPECT_EQ(bad[0].column, "label");
    EXPECT_EQ(bad[0].reason, "is outside [0, 1]");
    EXPECT_EQ(bad[0].rows, 4);  // a row counts once, by its first fault
    EXPECT_EQ(bad[1].column, "x");
    EXPECT_EQ(bad[1].rows, 2);
    options.max_bad_rows = 2;
    ExpectError(ReadStatus(IdJob(), folder / "a.parquet", options), StatusCode::kInvalidArgument,
                {"3 bad rows", "data.max_bad_rows is 2"});
  }
}

TEST(BadData, CsvFieldsThatAreNoNumbers) {
  TempFolder folder;
  folder.Write("a.csv", "id,x,label\n1,0.5,1\n2,abc,0\n");
  ExpectError(ReadStatus(IdJob(), folder / "a.csv", Options()), StatusCode::kInvalidArgument,
              {folder / "a.csv", "row 2", "column x", "is no number", "'abc'"});
}

TEST(BadData, RaggedAndTornCsv) {
  TempFolder folder;
  folder.Write("a.csv", "id,x,label\n1,0.5,1\n2,0.5\n");
  ExpectError(ReadStatus(IdJob(), folder / "a.csv", Options()), StatusCode::kInvalidArgument,
              {folder / "a.csv", "row 2: the row has 2 fields, expected 3", "'2,0.5'"});
  folder.Write("b.csv", "id,x,label\n1,\"0.5,1\n2,0.5,1\n");
  ExpectError(OpenStatus(IdJob(), folder / "b.csv"), StatusCode::kInvalidArgument, {folder / "b.csv", "quote"});
}

TEST(BadData, AStrayQuoteInALargeCsvFile) {
  TempFolder folder;
  std::string rows;
  while (rows.size() < (18 << 20)) rows += "1,0.5,1\n";
  folder.Write("a.csv", "id,x,label\n1,\"0.5,1\n" + rows);
  ExpectError(OpenStatus(IdJob(), folder / "a.csv"), StatusCode::kInvalidArgument,
              {folder / "a.csv", "at byte 11", "is a quote (\") not closed?"});
  folder.Write("b.csv", "id,\"x,label\n" + rows);
  ExpectError(OpenStatus(IdJob(), folder / "b.csv"), StatusCode::kInvalidArgument,
              {folder / "b.csv", "the header", "is a quote (\") not closed?"});
  folder.Write("c.csv", "id,\"x,label\n1,0.5,1\n");
  ExpectError(OpenStatus(IdJob(), folder / "c.csv"), StatusCode::kInvalidArgument,
              {folder / "c.csv", "header", "is a quote (\") not closed?"});
}

TEST(BadData, WeightsMustBeAboveZero) {
  TempFolder folder;
  folder.Write("a.csv", "id,x,label,w\n1,0.5,1,2\n2,1,0,0\n3,1,0,-1\n4,1,0,\n5,1,0,nan\n6,1,0,0.5\n");
  Job job = IdJob();
  job.mutable_data()->set_weight_column("w");
  LoaderOptions options = Options();
  options.max_bad_rows = 4;
  int64_t samples = 0;
  std::vector<BadRows> bad;
  EXPECT_TRUE(ReadStatus(job, folder / "a.csv", options, &samples, &bad).ok());
  EXPECT_EQ(samples, 2);
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].reason, "is missing");
  EXPECT_EQ(bad[1].rows, 3);
}

}  // namespace
}  // namespace weir
