#include "data_loader/reader.h"

#include <arrow/api.h>

#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

Job IdJob() {
  Job job;
  AddSparse(&job, "id")->mutable_sparse()->set_identity(true);
  return job;
}

TEST(OrderedReader, GivesTheRowsInOrderWithExtraColumns) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 100), 30);
  WriteParquet(folder / "b.parquet", NumberedRows(100, 50), 30);
  auto reader = OrderedReader::Open(IdJob(), Source(folder.path()), /*with_label=*/false, {"x", "id"});
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  EXPECT_EQ((*reader)->rows(), 150);
  EXPECT_EQ((*reader)->extra_schema()->ToString(), "x: float\nid: int64");
  OrderedRows rows;
  int64_t next = 0;
  while (*(*reader)->Next(20, &rows)) {
    ASSERT_LE(rows.rows->num_rows(), 20);
    Batch batch;
    std::vector<BadRow> bad;
    ASSERT_TRUE(rows.extractor->Extract(*rows.rows, &batch, &bad).ok());
    EXPECT_EQ(rows.path, next < 100 ? folder / "a.parquet" : folder / "b.parquet");
    EXPECT_EQ(rows.first_row, next < 100 ? next : next - 100);
    auto x = std::static_pointer_cast<arrow::FloatArray>(rows.rows->GetColumnByName("x"));
    for (int64_t i = 0; i < batch.num_samples; ++i, ++next) {
      EXPECT_EQ(batch.sparse[0].sample(i)[0], static_cast<uint64_t>(next));
      EXPECT_EQ(x->Value(i), static_cast<float>(next) / 2);
    }
  }
  EXPECT_EQ(next, 150);
}

TEST(OrderedReader, ReadsTextColumnsAsTheyAre) {
  TempFolder folder;
  folder.Write("a.csv", "id, name\n1, Ann \n2,\n");
  auto reader = OrderedReader::Open(
      [] {
        Job job;
        AddSparse(&job, "id");
        return job;
      }(),
      Source(folder / "a.csv"), false, {"name"});
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  OrderedRows rows;
  ASSERT_TRUE(*(*reader)->Next(10, &rows));
  auto names = std::static_pointer_cast<arrow::StringArray>(rows.rows->GetColumnByName("name"));
  EXPECT_EQ(names->GetString(0), "Ann");
  EXPECT_TRUE(names->IsNull(1));
  EXPECT_FALSE(*(*reader)->Next(10, &rows));
}

TEST(OrderedReader, RefusesExtraColumnsThatAreMissingOrDiffer) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 10), 30);
  ExpectError(OrderedReader::Open(IdJob(), Source(folder.path()), false, {"ids"}).status(),
              StatusCode::kInvalidArgument, {folder / "a.parquet", "'ids'", "id"});
  auto doubles = MakeArray<arrow::DoubleBuilder>(std::vector<double>(10, 1.0));
  auto table = NumberedRows(0, 10)
                   ->SetColumn(1, arrow::field("x", arrow::float64()), std::make_shared<arrow::ChunkedArray>(doubles))
                   .ValueOrDie();
  WriteParquet(folder / "b.parquet", table, 30);
  ExpectError(OrderedReader::Open(IdJob(), Source(folder.path()), false, {"x"}).status(), StatusCode::kInvalidArgument,
              {folder / "b.parquet", "column x", "expected float", "found double"});
}

}  // namespace
}  // namespace weir
