#include "data_loader/lake/lake.h"

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

std::vector<std::string> Paths(const Result<std::vector<LakeEntry>>& entries) {
  EXPECT_TRUE(entries.ok()) << entries.status().ToString();
  std::vector<std::string> paths;
  if (entries.ok()) {
    for (const LakeEntry& entry : *entries) paths.push_back(entry.path);
  }
  return paths;
}

TEST(Lake, FoldersGiveTheirFilesSortedWithoutHiddenOnes) {
  TempFolder folder;
  folder.Write("b.csv", "12345");
  folder.Write("a.csv", "1");
  folder.Write("dt=2/part-0.csv", "1");
  folder.Write(".hidden.csv", "1");
  folder.Write("_SUCCESS", "");
  folder.Write("_temporary/part.csv", "1");
  auto entries = ListFiles(Source(folder.path()));
  EXPECT_EQ(Paths(entries), (std::vector{folder / "a.csv", folder / "b.csv", folder / "dt=2/part-0.csv"}));
  EXPECT_EQ((*entries)[1].bytes, 5u);
}

TEST(Lake, SymbolicLinksAreFollowed) {
  TempFolder folder, elsewhere;
  folder.Write("a.csv", "1");
  elsewhere.Write("dt=1/part-0.csv", "123");
  elsewhere.Write("single.csv", "12");
  std::filesystem::create_directory_symlink(elsewhere / "dt=1", folder / "dt=1");
  std::filesystem::create_symlink(elsewhere / "single.csv", folder / "b.csv");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "_hidden");
  auto entries = ListFiles(Source(folder.path()));
  ASSERT_EQ(Paths(entries), (std::vector{folder / "a.csv", folder / "b.csv", folder / "dt=1/part-0.csv"}));
  EXPECT_EQ((*entries)[1].bytes, 2u);
  EXPECT_EQ((*entries)[2].bytes, 3u);
}

TEST(Lake, SymbolicLinksThatLeadNowhereOrBackAreNamed) {
  TempFolder folder;
  folder.Write("dt=1/part-0.csv", "1");
  std::filesystem::create_directory_symlink(folder.path(), folder / "dt=1/back");
  ExpectError(ListFiles(Source(folder.path())).status(), StatusCode::kInvalidArgument,
              {folder / "dt=1/back", "leads back"});
  std::filesystem::remove(folder / "dt=1/back");
  std::filesystem::create_symlink(folder / "gone", folder / "dt=1/dangling.csv");
  ExpectError(ListFiles(Source(folder.path())).status(), StatusCode::kFailedPrecondition,
              {folder / "dt=1/dangling.csv", "leads nowhere"});
  ExpectError(ListFiles(Source(folder / "dt=*/*.csv")).status(), StatusCode::kFailedPrecondition,
              {folder / "dt=1/dangling.csv"});
  std::filesystem::remove(folder / "dt=1/dangling.csv");
  std::string deep = "dt=1";
  for (int i = 0; i < 70; ++i) deep += "/d";
  folder.Write(deep + "/part.csv", "1");
  ExpectError(ListFiles(Source(folder.path())).status(), StatusCode::kInvalidArgument, {"at most 64 deep"});
}

TEST(Lake, GlobsMatchFilesAndFolders) {
  TempFolder folder;
  folder.Write("dt=1/part-0.csv", "1");
  folder.Write("dt=1/part-1.csv", "1");
  folder.Write("dt=2/part-0.csv", "1");
  folder.Write("dt=2/deep/_hidden/part-0.csv", "1");
  folder.Write("_dt=3/part-0.csv", "1");
  folder.Write("a*b.csv", "1");
  folder.Write("a-b.csv", "1");
  EXPECT_EQ(Paths(ListFiles(Source(folder / "*/part-0.csv"))).size(), 2u);
  EXPECT_EQ(Paths(ListFiles(Source(folder / "dt=?/deep/_hidden/*.csv"))),
            (std::vector{folder / "dt=2/deep/_hidden/part-0.csv"}));
  EXPECT_EQ(Paths(ListFiles(Source(folder / "a*b.csv"))), (std::vector{folder / "a*b.csv"}));
  EXPECT_EQ(Paths(ListFiles(Source(folder / "a[*-]b.csv"))).size(), 2u);
  EXPECT_EQ(Paths(ListFiles(Source(folder / "dt=*/part-0.csv"))),
            (std::vector{folder / "dt=1/part-0.csv", folder / "dt=2/part-0.csv"}));
  EXPECT_EQ(Paths(ListFiles(Source(folder / "dt=*"))).size(), 3u);
  EXPECT_EQ(Paths(ListFiles(Source("file://" + (folder / "dt=1/part-1.csv")))),
            (std::vector{folder / "dt=1/part-1.csv"}));
}

TEST(Lake, EntriesKeepTheirOrder) {
  TempFolder folder;
  folder.Write("a.csv", "1");
  folder.Write("b.csv", "1");
  SourceConfig source = Source(folder / "b.csv");
  source.add_uri(folder / "a.csv");
  EXPECT_EQ(Paths(ListFiles(source)), (std::vector{folder / "b.csv", folder / "a.csv"}));
}

TEST(Lake, NamesWhatMatchesNothing) {
  TempFolder folder;
  folder.Write("_hidden.csv", "1");
  ExpectError(ListFiles(Source(folder / "*.parquet")).status(), StatusCode::kNotFound, {folder / "*.parquet", "none"});
  ExpectError(ListFiles(Source(folder.path())).status(), StatusCode::kNotFound, {folder.path()});
  ExpectError(ListFiles(Source(folder / "gone.csv")).status(), StatusCode::kNotFound, {folder / "gone.csv"});
  ExpectError(ListFiles(SourceConfig()).status(), StatusCode::kInvalidArgument, {"uri"});
  ExpectError(ListFiles(Source("ftp://user:secret@host/x")).status(), StatusCode::kUnimplemented,
              {"ftp://host/x", "s3"});
  ExpectError(ListFiles(Source("s3://")).status(), StatusCode::kInvalidArgument, {"s3://", "bucket"});
}

TEST(Lake, FiltersLeaveOutPartitions) {
  TempFolder folder;
  for (const std::string dt : {"2026-10-31", "2026-11-01", "2026-11-02", "__HIVE_DEFAULT_PARTITION__"}) {
    for (const std::string hour : {"3", "21"}) folder.Write("dt=" + dt + "/hour=" + hour + "/part.csv", "1");
  }
  SourceConfig source = Source(folder.path());
  source.add_filter("dt >= 2026-11-01");
  source.add_filter("hour < 10");
  auto entries = ListFiles(source);
  ASSERT_EQ(Paths(entries),
            (std::vector{folder / "dt=2026-11-01/hour=3/part.csv", folder / "dt=2026-11-02/hour=3/part.csv"}));
  EXPECT_EQ(entries->front().partitions.back(), (PartitionValue{"hour", "3"}));

  source.set_filter(0, "day = 1");
  ExpectError(ListFiles(source).status(), StatusCode::kInvalidArgument, {"\"day = 1\"", "dt", "hour"});
  source.set_filter(0, "dt > 2027");
  ExpectError(ListFiles(source).status(), StatusCode::kNotFound, {folder.path(), "\"dt > 2027\""});
  source.set_filter(0, "dt >");
  ExpectError(ListFiles(source).status(), StatusCode::kInvalidArgument, {"\"dt >\"", "value is missing"});
}

TEST(Lake, AFileThatChangesIsNoticedWhenItIsOpenedAgain) {
  TempFolder folder;
  const std::string path = folder.Write("a.csv", "12345");
  const LakeEntry entry = ListFiles(Source(path))->front();
  auto file = OpenEntry(entry);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->GetSize().ValueOrDie(), 5);

  const timespec later[2] = {{0, UTIME_OMIT}, {entry.modified_ns / 1'000'000'000 + 1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), later, 0), 0);
  ExpectError(OpenEntry(entry).status(), StatusCode::kDataLoss, {path, "was changed"});
  folder.Write("a.csv", "123456");
  EXPECT_TRUE(OpenEntry(ListFiles(Source(path))->front()).ok());
  ExpectError(OpenEntry(entry).status(), StatusCode::kDataLoss, {path, "of 5 bytes", "found 6"});
  ASSERT_EQ(unlink(path.c_str()), 0);
  ExpectError(OpenEntry(entry).status(), StatusCode::kNotFound, {path});
}

TEST(Lake, FormatGoesByTheEndingUnlessSaid) {
  EXPECT_EQ(FormatOf("a/b.parquet", DataConfig::AUTO), DataConfig::PARQUET);
  EXPECT_EQ(FormatOf("a/b.data", DataConfig::AUTO), DataConfig::CSV);
  EXPECT_EQ(FormatOf("a/b.tsv", DataConfig::AUTO), DataConfig::CSV);
  EXPECT_EQ(FormatOf("a/b.csv.gz", DataConfig::AUTO), DataConfig::CSV);
  EXPECT_EQ(FormatOf("a/b.arrow", DataConfig::AUTO), DataConfig::ARROW);
  EXPECT_EQ(FormatOf("a/b.feather", DataConfig::AUTO), DataConfig::ARROW);
  EXPECT_EQ(FormatOf("a/b.tfrecord.gz", DataConfig::AUTO), DataConfig::TFRECORD);
  EXPECT_EQ(FormatOf("a/b.libsvm", DataConfig::AUTO), DataConfig::LIBSVM);
  EXPECT_EQ(FormatOf("a/b.ffm.gz", DataConfig::AUTO), DataConfig::LIBFFM);
  EXPECT_EQ(FormatOf("a/b.csv", DataConfig::PARQUET), DataConfig::PARQUET);
}

}  // namespace
}  // namespace weir
