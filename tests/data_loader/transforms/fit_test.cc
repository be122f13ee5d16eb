#include "data_loader/transforms/fit.h"

#include <cmath>

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include "proto/job_text.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

// Of a column with the values 0 to 1000, one each: as `weir stats --json` writes it.
std::string Stats(double low = 0, double high = 1000) {
  std::string quantiles;
  for (int i = 0; i <= 1000; ++i) {
    quantiles +=
        fmt::format("{}{{\"q\": {}, \"value\": {}}}", i == 0 ? "" : ", ", i / 1000.0, low + (high - low) * i / 1000);
  }
  return fmt::format(R"({{"format": "weir.stats", "version": 1, "uris": ["x"], "files": 1, "rows": 1001,
    "columns": [{{"name": "price", "type": "int64", "rows": 1001, "missing": 0, "values": 1001, "nan": 0, "min": {},
      "max": {}, "mean": {}, "stddev": 288.96, "quantiles": [{}], "quantile_rank_error": 0.001,
      "top": [{{"value": "a", "count": 1, "error": 0}}, {{"value": 3, "count": 1, "error": null}}]}},
     {{"name": "name", "type": "string", "distinct": 3}},
     {{"name": "constant", "values": 5, "min": 2, "max": 2, "mean": 2, "stddev": 0, "quantiles": []}}]}})",
                     low, high, (low + high) / 2, quantiles);
}

// A resolved job whose feature "price" is that.
Job JobWith(const std::string& kind, const std::string& columns = "") {
  const Result<Job> job =
      ReadJob("job",
              "data { label { column: \"y\" } } output: \"out\" train {} tables { name: \"price\" dim: 1 } "
              "model { logistic_regression {} } features { name: \"id\" sparse { table: \"price\" } } "
              "features { name: \"price\" " +
                  kind + " } " + columns,
              {}, nullptr);
  EXPECT_TRUE(job.ok()) << job.status().ToString();
  return job.ok() ? *job : Job();
}

const NumericConfig& NumericOf(const Job& job) { return job.features(1).numeric(); }

// Fits, and again, which must change nothing: not even a file is needed.
Job Fitted(Job job, const std::string& file) {
  const Status status = FitTransforms(&job);
  EXPECT_TRUE(status.ok()) << status.ToString();
  std::filesystem::remove(file);
  Job again = job;
  EXPECT_TRUE(FitTransforms(&again).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(job, again));
  const auto read = ReadJob("job", JobToText(job), {}, nullptr);
  EXPECT_TRUE(read.ok()) << read.status().ToString();
  return job;
}

TEST(FitTransforms, LearnsStandardAndMinMax) {
  TempFolder folder;
  std::string file = folder.Write("s.json", Stats());
  Job job = Fitted(JobWith("numeric { standard { stats_file: \"" + file + "\" } }"), file);
  EXPECT_EQ(NumericOf(job).standard().mean(), 500);
  EXPECT_EQ(NumericOf(job).standard().stddev(), 288.96);
  EXPECT_FALSE(NumericOf(job).standard().has_stats_file());
  file = folder.Write("s.json", Stats(-1, 99));
  job = Fitted(JobWith("numeric { min_max { stats_file: \"" + file + "\" } }"), file);
  EXPECT_EQ(NumericOf(job).min_max().min(), -1);
  EXPECT_EQ(NumericOf(job).min_max().max(), 99);
  file = folder.Write("s.json", Stats(-1, 99));
  job = Fitted(JobWith("numeric { clip_min: 0 log: true min_max { stats_file: \"" + file + "\" } }"), file);
  EXPECT_EQ(NumericOf(job).min_max().min(), 0);
  EXPECT_NEAR(NumericOf(job).min_max().max(), std::log(100), 1e-12);
}

TEST(FitTransforms, LearnsStandardAfterClipAndLog) {
  TempFolder folder;
  const std::string file = folder.Write("s.json", Stats());
  const Job job =
      Fitted(JobWith("numeric { clip_min: 100 log: true standard { stats_file: \"" + file + "\" } }"), file);
  // The same over the values themselves, evenly between 0 and 1000.
  constexpr int kValues = 1'000'000;
  double mean = 0, square = 0;
  for (int i = 0; i < kValues; ++i) mean += std::log1p(std::max(100.0, (i + 0.5) / 1000)) / kValues;
  for (int i = 0; i < kValues; ++i) {
    square += std::pow(std::log1p(std::max(100.0, (i + 0.5) / 1000)) - mean, 2) / kValues;
  }
  EXPECT_NEAR(NumericOf(job).standard().mean(), mean, 1e-5);
  EXPECT_NEAR(NumericOf(job).standard().stddev(), std::sqrt(square), 1e-5);
}

TEST(FitTransforms, LearnsBoundaries) {
  TempFolder folder;
  std::string file = folder.Write("s.json", Stats());
  const std::string quantiles = "quantiles { buckets: 4 stats_file: \"" + file + "\" }";
  Job job = Fitted(JobWith("sparse { type: INTEGER " + quantiles + " }"), file);
  const auto& boundaries = job.features(1).sparse().boundaries();
  EXPECT_EQ(std::vector<double>(boundaries.begin(), boundaries.end()), (std::vector<double>{250, 500, 750}));
  EXPECT_FALSE(job.features(1).sparse().has_quantiles());
  folder.Write("s.json", Stats());
  job = Fitted(
      JobWith("column: \"b\" sparse {}", "columns { name: \"b\" from: \"price\" bucketize { " + quantiles + " } }"),
      file);
  EXPECT_EQ(job.columns(0).bucketize().boundaries_size(), 3);
}

TEST(FitTransforms, OneValueMayFillSeveralBuckets) {
  TempFolder folder;
  std::string quantiles;
  for (int i = 0; i <= 10; ++i)
    quantiles += fmt::format("{}{{\"q\": {}, \"value\": {}}}", i ? "," : "", i / 10.0, i < 8 ? 0 : i);
  const std::string json =
      R"({"format": "weir.stats", "version": 1, "columns": [{"name": "price", "values": 10, "min": 0,
      "max": 10, "quantiles": [)" +
      quantiles + "]}]}";
  const std::string file = folder.Write("s.json", json);
  Job job = Fitted(JobWith("sparse { quantiles { buckets: 10 stats_file: \"" + file + "\" } }"), file);
  EXPECT_EQ(job.features(1).sparse().boundaries_size(), 2);  // 8 and 9
  folder.Write("s.json", json);
  job = Fitted(JobWith("sparse { quantiles { buckets: 2 stats_file: \"" + file + "\" } }"), file);
  ASSERT_EQ(job.features(1).sparse().boundaries_size(), 1);
  EXPECT_EQ(job.features(1).sparse().boundaries(0), 10);
}

TEST(FitTransforms, SaysWhatCannotBeLearned) {
  TempFolder folder;
  const std::string file = folder.Write("s.json", Stats());
  const auto error = [&](const std::string& column, const std::string& path) {
    Job job = JobWith("column: \"" + column + "\" numeric { standard { stats_file: \"" + path + "\" } }");
    return FitTransforms(&job);
  };
  ExpectError(error("prise", file), StatusCode::kInvalidArgument,
              {"feature price", file, "expected statistics of column prise, found none (did you mean \"price\"?)"});
  ExpectError(error("name", file), StatusCode::kInvalidArgument, {"at least two different numbers", "found none"});
  ExpectError(error("constant", file), StatusCode::kInvalidArgument, {"at least two different numbers", "found one"});
  ExpectError(error("price", folder / "nothing.json"), StatusCode::kNotFound, {"nothing.json"});
  for (const char* text :
       {"{", "[]", "{}", R"({"format": "weir.stats", "version": 2})", "\xff\xfe", R"({"columns": 3})"}) {
    ExpectError(error("price", folder.Write("bad.json", text)), StatusCode::kInvalidArgument,
                {"bad.json: expected what `weir stats --json` writes, version 1, found"});
  }
  const std::string torn =
      R"({"format": "weir.stats", "version": 1, "columns": [{"name": "price", "values": 2, "min": 0,
      "max": 1, "quantiles": [{"q": 0, "value": null}, {"q": 1, "value": 1}]}]})";
  Job job = JobWith("sparse { quantiles { buckets: 2 stats_file: \"" + folder.Write("torn.json", torn) + "\" } }");
  ExpectError(FitTransforms(&job), StatusCode::kInvalidArgument, {"column price: expected ascending quantiles"});
}

TEST(FitTransforms, TakesSmallVocabulariesIn) {
  TempFolder folder;
  const std::string file = folder.Write("v.txt", "red\r\ngreen\nblue");
  const std::string columns = "columns { name: \"c\" from: \"price\" vocabulary { path: \"" + file + "\" } }";
  const Job job = Fitted(JobWith("column: \"c\" sparse {}", columns), file);
  const auto& values = job.columns(0).vocabulary().values();
  EXPECT_EQ(std::vector<std::string>(values.begin(), values.end()), (std::vector<std::string>{"red", "green", "blue"}));
  EXPECT_FALSE(job.columns(0).vocabulary().has_path());
  for (const auto& [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"a\n\nb\n", "v.txt:2: expected a value, found an empty line"},
           {"a\nb\na\n", "v.txt:3: expected each value once, found 'a' in line 1 too"},
           {"", "v.txt: expected a value a line, found none"},
           {"a\n\xff\n", "expected text in UTF-8"}}) {
    folder.Write("v.txt", text);
    Job bad = JobWith("column: \"c\" sparse {}", columns);
    ExpectError(FitTransforms(&bad), StatusCode::kInvalidArgument, {"column c", error});
  }
}

TEST(FitTransforms, LargeFilesAreHeldToTheirDigests) {
  TempFolder folder;
  std::string text;
  for (int i = 0; text.size() <= static_cast<size_t>(kVocabularyBytesInJob); ++i) text += fmt::format("value-{}\n", i);
  const std::string file = folder.Write("v.txt", text);
  const std::string columns = fmt::format(
      "columns {{ name: \"c\" from: \"price\" vocabulary {{ path: \"{0}\" }} }} columns {{ name: \"d\" from: "
      "\"c\" lookup {{ uri: \"{0}\" key: \"k\" value: \"v\" }} }}",
      file);
  const Job job = Fitted(JobWith("column: \"d\" sparse {}", columns), file);
  EXPECT_EQ(job.columns(0).vocabulary().path(), file);
  EXPECT_TRUE(job.columns(0).vocabulary().values().empty());
  for (const FileDigest& digest : {job.columns(0).vocabulary().file(), job.columns(1).lookup().file()}) {
    EXPECT_EQ(digest.bytes(), text.size());
    EXPECT_EQ(digest.xxh3_128().size(), 32u);
  }
}

}  // namespace
}  // namespace weir
