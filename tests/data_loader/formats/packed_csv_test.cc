// CSV packed with gzip.
#include "data_loader/formats/csv_file.h"
#include "data_loader/formats/row_group_cutter.h"
#include "tests/data_loader/formats/format_fixture.h"

namespace weir {
namespace {

std::string SomeCsv(int rows, char delimiter) {
  std::string text = std::string("id") + delimiter + "city" + delimiter + "x\n";
  for (int i = 0; i < rows; ++i) {
    text += std::to_string(i) + delimiter + (i % 3 == 0 ? "\"Ulm\n a. d.\"" : "Bonn") + delimiter + "0.5\n";
  }
  return text;
}

TEST(PackedCsv, IsReadAsThePlainFile) {
  TempFolder folder;
  const std::string csv = SomeCsv(30000, ','), tsv = SomeCsv(30000, '\t');
  const std::string middle = csv.substr(0, 200001), rest = csv.substr(200001);
  auto plain = ReadPath(folder.Write("a.csv", csv));
  ASSERT_TRUE(plain.ok()) << plain.status().ToString();
  ASSERT_EQ((*plain)->num_rows(), 30000);
  for (const std::string& path :
       {folder.Write("b.csv.gz", Gzip(csv)), folder.Write("c.tsv.gz", Gzip(tsv)), folder.Write("d.txt", Gzip(csv)),
        folder.Write("e.csv.gz", Gzip(middle) + Gzip("") + Gzip(rest))}) {
    auto packed = ReadPath(path);
    ASSERT_TRUE(packed.ok()) << packed.status().ToString();
    EXPECT_TRUE((*packed)->Equals(**plain)) << path;
  }
}

TEST(PackedCsv, GroupsAreReadInAnyOrder) {
  TempFolder folder;
  auto file = OpenLakeFile(folder.Write("b.csv.gz", Gzip(SomeCsv(50000, ','))));
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  const int groups = static_cast<int>((*file)->row_groups().size());
  ASSERT_EQ(groups, 7);
  for (int i = 0; i < groups; ++i) {
    const int group = i * 5 % groups;
    auto batch = *(*(*file)->Read(group, 100, 101, {"id"}, 10))->Next();
    EXPECT_EQ(batch->column(0)->GetScalar(0).ValueOrDie()->ToString(), std::to_string(group * kGroupRows + 100));
  }
}

TEST(PackedCsv, DamageIsTold) {
  TempFolder folder;
  const std::string packed = Gzip(SomeCsv(5000, ','));
  for (size_t size = 10; size < packed.size(); size += 997) {
    ExpectError(ReadPath(folder.Write("a.csv.gz", packed.substr(0, size))).status(), StatusCode::kDataLoss,
                {"a.csv.gz", "torn"});
  }
  std::string damaged = packed;
  damaged[damaged.size() - 5] ^= 1;
  ExpectError(ReadPath(folder.Write("a.csv.gz", damaged)).status(), StatusCode::kDataLoss, {"a.csv.gz"});
  ExpectError(ReadPath(folder.Write("a.csv.gz", "id,x\n1,2\n")).status(), StatusCode::kInvalidArgument,
              {"a.csv.gz", "expected gzip"});
  ExpectError(ReadPath(folder.Write("a.parquet.gz", packed)).status(), StatusCode::kInvalidArgument,
              {"a.parquet.gz", "gzip", "unpack"});
}

}  // namespace
}  // namespace weir
