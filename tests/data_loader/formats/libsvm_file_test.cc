#include "data_loader/formats/libsvm_file.h"

#include "data_loader/formats/row_group_cutter.h"
#include "data_loader/loader.h"
#include "tests/data_loader/formats/format_fixture.h"

namespace weir {
namespace {

using Strings = std::vector<std::string>;

TEST(LibsvmFile, RowsAreListsOfOneLength) {
  TempFolder folder;
  const std::string path = folder.Write("a.svm", "# a9a\n+1 3:1 11:0.5 14:-2\n\n-1 5:1 # why\n0\n1 7:1");
  auto table = ReadPath(path);
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_EQ((*table)->schema()->ToString(), "label: float\nindices: list<item: int64>\nvalues: list<item: float>");
  EXPECT_EQ(Texts(**table, "label"), (Strings{"1", "-1", "0", "1"}));
  EXPECT_EQ(Texts(**table, "indices")[0], "list<item: int64>[3, 11, 14]");
  EXPECT_EQ(Texts(**table, "values")[0], "list<item: float>[1, 0.5, -2]");
  EXPECT_EQ(Texts(**table, "indices")[2], "list<item: int64>[]");
  EXPECT_EQ(Texts(**table, "indices")[3], "list<item: int64>[7]");
}

TEST(LibsvmFile, LibffmHasFields) {
  TempFolder folder;
  auto table = ReadPath(folder.Write("a.ffm", "1 0:5:1 1:9:0.5\r\n0 0:6:1\r\n"));
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_EQ(Texts(**table, "fields")[0], "list<item: int64>[0, 1]");
  EXPECT_EQ(Texts(**table, "indices"), (Strings{"list<item: int64>[5, 9]", "list<item: int64>[6]"}));
}

TEST(LibsvmFile, ManyGroupsFromAnyRow) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    text += "1 " + std::to_string(i) + ":1\n";
    if (i % 3 == 0) text += "  # nothing\n";
  }
  for (const std::string& path : {folder.Write("a.libsvm", text), folder.Write("b.libsvm.gz", Gzip(text))}) {
    auto file = OpenLakeFile(path);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_EQ((*file)->rows(), 20000);
    ASSERT_EQ((*file)->row_groups().size(), 3);
    auto rows = ReadRows(**file, {"indices"}, 1000);
    ASSERT_TRUE(rows.ok()) << rows.status().ToString();
    const Strings indices = Texts(**rows, "indices");
    ASSERT_EQ(indices.size(), 17000);
    EXPECT_EQ(indices.front(), "list<item: int64>[1000]");
    EXPECT_EQ(indices[kGroupRows - 1000], "list<item: int64>[" + std::to_string(kGroupRows + 1000) + "]");
    EXPECT_EQ(indices.back(), "list<item: int64>[19999]");
  }
}

TEST(LibsvmFile, BadLinesAreTold) {
  TempFolder folder;
  ExpectError(ReadPath(folder.Write("a.svm", "1 3:1\n1 4:x\n")).status(), StatusCode::kInvalidArgument,
              {"a.svm", "row 2", "field 2", "4:x"});
  ExpectError(ReadPath(folder.Write("b.svm", "1 0:3:1\n")).status(), StatusCode::kInvalidArgument,
              {"b.svm", "row 1", "libffm", "LIBFFM"});
  ExpectError(ReadPath(folder.Write("c.ffm", "1 3:1\n")).status(), StatusCode::kInvalidArgument, {"c.ffm", "LIBSVM"});
  ExpectError(ReadPath(folder.Write("d.svm", "label,a,b\n1,2,3\n")).status(), StatusCode::kInvalidArgument,
              {"d.svm", "row 1", "expected libsvm"});
  ExpectError(ReadPath(folder.Write("e.svm", "1 1:1\n" + std::string(kRowBytesMax + 1, ' '))).status(),
              StatusCode::kInvalidArgument, {"e.svm", "byte 6", "at most"});
}

TEST(LibsvmFile, WeightsGoAlongWithTheirIndices) {
  TempFolder folder;
  const std::string path = folder.Write("a.svm", "+1 3:0.5 4:2\n-1 5:1\n+1\n");
  Job job;
  LabelConfig* label = job.mutable_data()->mutable_label();
  label->set_column("label");
  label->add_positive("1");
  label->add_negative("-1");
  SparseConfig* sparse = AddSparse(&job, "indices")->mutable_sparse();
  sparse->set_pooling(SparseConfig::WEIGHTED_SUM);
  sparse->set_weight_column("values");
  sparse->set_identity(true);
  LoaderOptions options;
  options.batch_size = 100;
  options.shuffle = false;
  auto loader = Loader::Open(job, Source(path), options, {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch step;
  auto more = (*loader)->Next(&step);
  ASSERT_TRUE(more.ok()) << more.status().ToString();
  ASSERT_EQ(step.batch.num_samples, 3);
  EXPECT_EQ(step.batch.labels, (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(step.batch.sparse[0].values, (std::vector<uint64_t>{3, 4, 5}));
  EXPECT_EQ(step.batch.sparse[0].weights, (std::vector<float>{0.5f, 2, 1}));
  EXPECT_EQ(step.batch.sparse[0].offsets, (std::vector<int32_t>{0, 2, 3, 3}));
}

}  // namespace
}  // namespace weir
