// What of Parquet the loader reads: types, nesting, codecs, encodings.
#include "data_loader/formats/parquet_file.h"

#include <tuple>

#include "data_loader/extractor.h"
#include "tests/data_loader/formats/format_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

using parquet::Compression;
using Strings = std::vector<std::string>;

// A list of every second row's id below `rows`: null, empty, one and more.
std::shared_ptr<arrow::Array> SomeLists(int rows) {
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  for (int i = 0; i < rows; ++i) {
    EXPECT_TRUE((i % 4 == 0 ? lists.AppendNull() : lists.Append()).ok());
    for (int j = 1; j < i % 4; ++j) {
      auto* ids = static_cast<arrow::Int64Builder*>(lists.value_builder());
      EXPECT_TRUE((j == 2 ? ids->AppendNull() : ids->Append(i * 10 + j)).ok());
    }
  }
  return lists.Finish().ValueOrDie();
}

// Row i: i % 4 lists, the second one null, the others of i and i + 1; every fifth row null.
std::shared_ptr<arrow::Array> SomeListsOfLists(int rows) {
  auto ids = std::make_shared<arrow::Int64Builder>();
  auto inner = std::make_shared<arrow::ListBuilder>(arrow::default_memory_pool(), ids);
  arrow::ListBuilder outer(arrow::default_memory_pool(), inner);
  for (int i = 0; i < rows; ++i) {
    EXPECT_TRUE((i % 5 == 0 ? outer.AppendNull() : outer.Append()).ok());
    for (int j = 0; j < i % 4 && i % 5 != 0; ++j) {
      EXPECT_TRUE((j == 1 ? inner->AppendNull() : inner->Append()).ok());
      if (j != 1) {
        EXPECT_TRUE(ids->AppendValues({i, i + 1}).ok());
      }
    }
  }
  return outer.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Table> SomeTable(int rows) {
  arrow::Int32Builder counts;
  arrow::StringBuilder names;
  arrow::StringDictionaryBuilder cities;
  for (int i = 0; i < rows; ++i) {
    EXPECT_TRUE((i % 3 == 0 ? counts.AppendNull() : counts.Append(i)).ok());
    EXPECT_TRUE((i % 6 == 0 ? names.AppendNull() : names.Append("name " + std::to_string(i))).ok());
    EXPECT_TRUE((i % 7 == 0 ? cities.AppendNull() : cities.Append(i % 2 == 0 ? "Ulm" : "Bonn")).ok());
  }
  return MakeTable({{"label", MakeArray<arrow::Int32Builder>(std::vector<int32_t>(rows, 1))},
                    {"count", counts.Finish().ValueOrDie()},
                    {"name", names.Finish().ValueOrDie()},
                    {"city", cities.Finish().ValueOrDie()},
                    {"items", SomeLists(rows)},
                    {"visits", SomeListsOfLists(rows)}});
}

class ParquetCodecs : public ::testing::TestWithParam<std::tuple<Compression::type, bool>> {};

TEST_P(ParquetCodecs, AllTypesFromAnyRow) {
  const auto [codec, dictionary] = GetParam();
  TempFolder folder;
  const auto table = SomeTable(1000);
  parquet::WriterProperties::Builder builder;
  builder.enable_page_checksum()->compression(codec)->data_pagesize(512)->write_batch_size(50);
  if (!dictionary) builder.disable_dictionary();
  auto out = arrow::io::FileOutputStream::Open(folder / "a.parquet").ValueOrDie();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, 400, builder.build(),
                                         parquet::ArrowWriterProperties::Builder().store_schema()->build())
                  .ok());
  ASSERT_TRUE(out->Close().ok());
  auto file = OpenLakeFile(folder / "a.parquet");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  ASSERT_EQ((*file)->row_groups().size(), 3);
  for (const std::string& name : table->ColumnNames()) {
    const Strings expected = Texts(*table, name);
    for (const int64_t skip : {0, 123}) {
      auto read = ReadRows(**file, {name}, skip);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      Strings wanted;
      for (int64_t i = 0; i < 1000; ++i) {
        if (i % 400 >= skip) wanted.push_back(expected[i]);
      }
      EXPECT_EQ(Texts(**read, name), wanted) << name << " from row " << skip;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ParquetCodecs,
                         ::testing::Combine(::testing::Values(Compression::UNCOMPRESSED, Compression::SNAPPY,
                                                              Compression::ZSTD, Compression::LZ4, Compression::GZIP,
                                                              Compression::BROTLI),
                                            ::testing::Bool()));

// A row's lists of lists are one bag: the inner lists end to end.
TEST(ParquetFile, ListsOfListsAreOneBag) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", SomeTable(20), 20);
  auto file = OpenLakeFile(folder / "a.parquet");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "visits")->mutable_sparse()->set_identity(true);
  SparseConfig* weighted = AddSparse(&job, "weighted")->mutable_sparse();
  job.mutable_features(1)->set_column("visits");
  weighted->set_pooling(SparseConfig::WEIGHTED_SUM);
  weighted->set_weight_column("visits");
  auto extractor = FeatureExtractor::Make(job, *(*file)->schema(), true);
  ASSERT_TRUE(extractor.ok()) << extractor.status().ToString();
  auto reader = (*file)->Read(0, 5, 20, (*extractor)->columns(), 100);
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  auto rows = (*reader)->Next();
  ASSERT_TRUE(rows.ok() && *rows != nullptr) << rows.status().ToString();
  Batch batch = EmptyBatch(job);
  std::vector<BadRow> bad;
  // A slice begins where its lists do not.
  ASSERT_TRUE((*extractor)->Extract(*(*rows)->Slice(1), &batch, &bad).ok());
  EXPECT_TRUE(bad.empty());
  ASSERT_EQ(batch.num_samples, 14);
  for (int i = 6; i < 20; ++i) {
    const std::vector<uint64_t> two = {static_cast<uint64_t>(i), static_cast<uint64_t>(i) + 1};
    std::vector<uint64_t> expected;
    for (int j = 0; j < i % 4 && i % 5 != 0; ++j) {
      if (j != 1) expected.insert(expected.end(), two.begin(), two.end());
    }
    const auto keys = batch.sparse[0].sample(i - 6);
    EXPECT_EQ(std::vector<uint64_t>(keys.begin(), keys.end()), expected) << i;
    EXPECT_EQ(batch.sparse[1].sample(i - 6).size(), expected.size()) << i;
  }
  EXPECT_EQ(batch.sparse[1].weights.size(), batch.sparse[1].values.size());
}

}  // namespace
}  // namespace weir
