#include "data_loader/formats/partition_columns.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "data_loader/columns/key.h"
#include "data_loader/reader.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

Job SmallJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  return job;
}

std::string Text(const arrow::RecordBatch& rows, const std::string& column, int64_t row) {
  return static_cast<const arrow::StringArray&>(*rows.GetColumnByName(column)).GetString(row);
}

TEST(PartitionColumns, AreTextBesideTheFilesOwn) {
  TempFolder folder;
  folder.Write("dt=2026-11-01/hour=__HIVE_DEFAULT_PARTITION__/a.csv", "label,x\n1,5\n0,6\n1,7\n");
  const LakeEntry entry = ListFiles(Source(folder.path()))->front();
  const auto file = LakeFile::Open(entry, DataConfig());
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->schema()->field_names(), (std::vector<std::string>{"label", "x", "dt", "hour"}));
  EXPECT_TRUE(IsText(*(*file)->schema()->GetFieldByName("dt")));
  EXPECT_EQ((*file)->rows(), 3);

  auto reader = (*file)->Read(0, 1, 3, {"dt", "x", "hour"}, 10).value();
  auto rows = *reader->Next();
  ASSERT_EQ(rows->num_rows(), 2);
  EXPECT_EQ(Text(*rows, "x", 0), "6");
  EXPECT_EQ(Text(*rows, "dt", 1), "2026-11-01");
  EXPECT_EQ(rows->GetColumnByName("hour")->null_count(), 2);
  EXPECT_EQ(*reader->Next(), nullptr);

  // Rows of partitions alone, in batches as asked for.
  reader = (*file)->Read(0, 0, 3, {"dt"}, 2).value();
  EXPECT_EQ((*reader->Next())->num_rows(), 2);
  EXPECT_EQ((*reader->Next())->num_rows(), 1);
  EXPECT_EQ(*reader->Next(), nullptr);
}

TEST(PartitionColumns, TakeThePlaceOfTheFilesColumn) {
  TempFolder folder;
  folder.Write("x=9/a.csv", "label,x\n1,5\n");
  const auto file = LakeFile::Open(ListFiles(Source(folder.path()))->front(), DataConfig());
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->schema()->field_names(), (std::vector<std::string>{"label", "x"}));
  auto reader = (*file)->Read(0, 0, 1, {"label", "x"}, 10).value();
  auto rows = *reader->Next();
  EXPECT_EQ(Text(*rows, "x", 0), "9");
}

TEST(PartitionColumns, FeaturesReadThem) {
  TempFolder folder;
  folder.Write("hour=03/country=DE/a.csv", "label\n1\n0\n");
  folder.Write("hour=21/country=__HIVE_DEFAULT_PARTITION__/b.csv", "label\n1\n");
  Job job = SmallJob();
  AddSparse(&job, "country");
  AddSparse(&job, "hour")->mutable_sparse()->set_type(SparseConfig::INTEGER);
  AddNumeric(&job, "hour");
  auto reader = OrderedReader::Open(job, Source(folder.path()), true, {"country"});
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  EXPECT_FALSE(IsText(*(*reader)->extra_schema()->field(0)));
  Batch batch = EmptyBatch(job);
  std::vector<BadRow> bad;
  OrderedRows rows;
  while (*(*reader)->Next(10, &rows)) {
    ASSERT_TRUE(rows.extractor->Extract(*rows.rows, &batch, &bad).ok());
    ASSERT_NE(rows.rows->GetColumnByName("country"), nullptr);
  }
  EXPECT_TRUE(bad.empty());
  EXPECT_EQ(batch.numeric, (std::vector<float>{3, 3, 21}));
  EXPECT_EQ(batch.sparse[0].offsets, (std::vector<int32_t>{0, 1, 2, 2}));
  EXPECT_EQ(batch.sparse[0].values[0], KeyRule("country", 0, false).OfString("DE"));
  EXPECT_EQ(batch.sparse[1].values[2], KeyRule("hour", 0, false).OfInteger(21));
}

TEST(PartitionColumns, ABadValueIsABadRow) {
  TempFolder folder;
  folder.Write("hour=late/a.csv", "label\n1\n");
  Job job = SmallJob();
  AddNumeric(&job, "hour");
  auto reader = OrderedReader::Open(job, Source(folder.path()), true, {});
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  Batch batch = EmptyBatch(job);
  std::vector<BadRow> bad;
  OrderedRows rows;
  ASSERT_TRUE(*(*reader)->Next(10, &rows));
  ASSERT_TRUE(rows.extractor->Extract(*rows.rows, &batch, &bad).ok());
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].column, "hour");
}

}  // namespace
}  // namespace weir
