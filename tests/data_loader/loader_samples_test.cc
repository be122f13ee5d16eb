// What the loader's samples hold: values of CSV and Parquet in their places, lists, weights.
#include <algorithm>
#include <numeric>

#include "data_loader/columns/key.h"
#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/loader_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

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
  ExpectError((*loader)->Next(&step).status(), StatusCode::kInvalidArgument,
              {"a.data", "row 2: the row has 4 fields, expected 3"});

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
