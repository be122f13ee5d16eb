// Keys do not depend on how a file stores the values: as they are, or as a dictionary and indices into it.
#include <random>

#include "data_loader/columns/sparse_column.h"
#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

constexpr int64_t kRows = 3000;

// Integers and strings with nulls; `id` has none.
std::shared_ptr<arrow::Table> Rows() {
  std::mt19937_64 random(3);
  arrow::Int64Builder ids, rare;
  arrow::UInt32Builder small;
  arrow::StringBuilder names;
  arrow::Int32Builder labels;
  for (int64_t i = 0; i < kRows; ++i) {
    EXPECT_TRUE(ids.Append(static_cast<int64_t>(random() % 400) - 200).ok());
    EXPECT_TRUE((i % 7 == 0 ? rare.AppendNull() : rare.Append(static_cast<int64_t>(random()))).ok());
    EXPECT_TRUE(small.Append(static_cast<uint32_t>(random() % 5)).ok());
    EXPECT_TRUE((i % 5 == 0 ? names.AppendNull() : names.Append("n" + std::to_string(random() % 900))).ok());
    EXPECT_TRUE(labels.Append(i % 2).ok());
  }
  return MakeTable({{"id", ids.Finish().ValueOrDie()},
                    {"rare", rare.Finish().ValueOrDie()},
                    {"small", small.Finish().ValueOrDie()},
                    {"name", names.Finish().ValueOrDie()},
                    {"label", labels.Finish().ValueOrDie()}});
}

void WriteWithDictionary(const std::string& path, int64_t dictionary_bytes_max) {
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  auto properties = parquet::WriterProperties::Builder()
                        .dictionary_pagesize_limit(dictionary_bytes_max)
                        ->data_pagesize(700)
                        ->write_batch_size(50)
                        ->build();
  ASSERT_TRUE(parquet::arrow::WriteTable(*Rows(), arrow::default_memory_pool(), file, 1000, properties).ok());
  ASSERT_TRUE(file->Close().ok());
}

Job FeaturesJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "id");
  AddSparse(&job, "rare");
  AddSparse(&job, "small")->mutable_sparse()->set_buckets(3);
  AddSparse(&job, "name")->mutable_sparse()->set_default_value("none");
  return job;
}

// Of all steps: keys and offsets of every feature.
std::vector<Jagged> Keys(const std::string& path, bool shuffle) {
  LoaderOptions options;
  options.batch_size = 256;
  options.decode_rows = 300;
  options.shuffle_rows = 128;
  options.shuffle = shuffle;
  auto loader = Loader::Open(FeaturesJob(), Source(path), options, {});
  EXPECT_TRUE(loader.ok()) << loader.status().ToString();
  std::vector<Jagged> all(4);
  StepBatch step;
  while (true) {
    auto more = (*loader)->Next(&step);
    EXPECT_TRUE(more.ok()) << more.status().ToString();
    if (!more.ok() || !*more) return all;
    for (size_t f = 0; f < all.size(); ++f) {
      for (int64_t i = 0; i < step.batch.num_samples; ++i) {
        const auto keys = step.batch.sparse[f].sample(i);
        all[f].values.insert(all[f].values.end(), keys.begin(), keys.end());
        all[f].EndSample();
      }
    }
  }
}

TEST(DictionaryKeys, AreThoseOfPlainValues) {
  TempFolder folder;
  std::filesystem::create_directories(folder / "plain");
  std::filesystem::create_directories(folder / "dictionary");
  WriteParquet(folder / "plain/a.parquet", Rows(), 1000);
  // A small one runs over within the row group, so that the pages after it are plain.
  for (const int64_t dictionary_bytes_max : {int64_t{1} << 20, int64_t{1000}}) {
    WriteWithDictionary(folder / "dictionary/a.parquet", dictionary_bytes_max);
    for (const bool shuffle : {false, true}) {
      const std::vector<Jagged> expected = Keys(folder / "plain/a.parquet", shuffle);
      const std::vector<Jagged> found = Keys(folder / "dictionary/a.parquet", shuffle);
      for (size_t f = 0; f < expected.size(); ++f) {
        ASSERT_EQ(expected[f].num_samples(), kRows);
        EXPECT_EQ(expected[f].values, found[f].values) << "feature " << f;
        EXPECT_EQ(expected[f].offsets, found[f].offsets) << "feature " << f;
      }
    }
  }
}

TEST(DictionaryKeys, AnIndexPastTheDictionaryIsAnError) {
  Job job = FeaturesJob();
  auto column = SparseColumn::Make(job.features(0), *arrow::int64(), /*text=*/false);
  ASSERT_TRUE(column.ok());
  auto entries = MakeArray<arrow::Int64Builder>(std::vector<int64_t>{5, 6, 7});
  for (const int32_t index : {3, -1}) {
    auto indices = MakeArray<arrow::Int32Builder>(std::vector<int32_t>{0, 2, index});
    const arrow::DictionaryArray rows(arrow::dictionary(arrow::int32(), arrow::int64()), indices, entries);
    DictionaryKeys kept;
    Jagged out;
    std::vector<BadRow> bad;
    ExpectError(column->Extract(rows, nullptr, &out, 0, &bad, &kept), StatusCode::kDataLoss, {"below 3"});
  }
}

TEST(DictionaryKeys, FollowTheDictionary) {
  Job job = FeaturesJob();
  auto column = SparseColumn::Make(job.features(0), *arrow::int64(), /*text=*/false);
  ASSERT_TRUE(column.ok());
  DictionaryKeys kept;
  for (const int64_t first : {10, 20, 10}) {
    auto entries = MakeArray<arrow::Int64Builder>(std::vector<int64_t>{first, first + 1});
    auto plain = MakeArray<arrow::Int64Builder>(std::vector<int64_t>{first + 1, first, first + 1});
    auto indices = MakeArray<arrow::Int32Builder>(std::vector<int32_t>{1, 0, 1});
    const arrow::DictionaryArray rows(arrow::dictionary(arrow::int32(), arrow::int64()), indices, entries);
    Jagged expected, found;
    std::vector<BadRow> bad;
    ASSERT_TRUE(column->Extract(*plain, nullptr, &expected, 0, &bad).ok());
    ASSERT_TRUE(column->Extract(rows, nullptr, &found, 0, &bad, &kept).ok());
    EXPECT_EQ(expected.values, found.values);
  }
}

}  // namespace
}  // namespace weir
