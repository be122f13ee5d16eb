#include "data_loader/lake/walk.h"

#include <algorithm>
#include <chrono>

#include <arrow/filesystem/mockfs.h>
#include <arrow/io/interfaces.h>
#include <gmock/gmock.h>

#include "data_loader/lake/arrow_storage.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

constexpr size_t kBucketBytes = std::string_view("s3://bucket").size();

// Notes which folders are listed.
class NotingStorage : public Storage {
 public:
  explicit NotingStorage(const Storage* storage) : storage_(*storage) {}

  Result<StoredFile> Look(const std::string& path) const override { return storage_.Look(path); }
  Result<std::vector<StoredFile>> List(const std::string& folder) const override {
    listed.push_back(folder);
    return storage_.List(folder);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const override {
    return storage_.Open(file);
  }
  bool is_remote() const override { return true; }

  mutable std::vector<std::string> listed;

 private:
  const Storage& storage_;
};

class WalkTest : public ::testing::Test {
 protected:
  WalkTest() {
    Write("logs/dt=1/hour=1/part-0.csv", "one");
    Write("logs/dt=1/hour=2/part-0.csv", "1");
    Write("logs/dt=1/hour=2/_SUCCESS", "");
    Write("logs/dt=2/hour=1/part-0.csv", "1");
    Write("logs/dt=2/hour=1/part-1.parquet", "1");
    Write("logs/_temporary/hour=1/part-0.csv", "1");
    Write("logs/.hidden/part-0.csv", "1");
    Write("logs/a*b.csv", "1");
    Write("top.csv", "1");
  }

  void Write(const std::string& path, const std::string& text) {
    const std::string whole = "bucket/" + path;
    ASSERT_TRUE(files_->CreateDir(whole.substr(0, whole.rfind('/')), true).ok());
    ASSERT_TRUE(files_->CreateFile(whole, text).ok());
  }

  Result<std::vector<StoredFile>> Find(const std::string& path, const std::vector<std::string>& filters = {}) {
    noting_.listed.clear();
    return FindFiles(noting_, path, kBucketBytes, PartitionFilters::Parse(filters).value());
  }
  std::vector<std::string> Found(const std::string& path, const std::vector<std::string>& filters = {}) {
    const auto files = Find(path, filters);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    std::vector<std::string> names;
    if (files.ok()) {
      for (const StoredFile& file : *files) names.push_back(file.path.substr(kBucketBytes + 1));
    }
    std::sort(noting_.listed.begin(), noting_.listed.end());
    return names;
  }

  // What is listed, folders with a slash.
  static std::vector<std::string> NamesIn(const Storage& storage, const std::string& folder) {
    const auto listed = storage.List(folder);
    EXPECT_TRUE(listed.ok()) << listed.status().ToString();
    std::vector<std::string> names;
    if (listed.ok()) {
      for (const StoredFile& file : *listed) names.push_back(file.path + (file.is_folder ? "/" : ""));
    }
    return names;
  }

  using Names = std::vector<std::string>;
  const std::shared_ptr<arrow::fs::internal::MockFileSystem> files_ =
      std::make_shared<arrow::fs::internal::MockFileSystem>(arrow::fs::TimePoint(std::chrono::seconds(1'800'000'000)));
  const ArrowStorage storage_{files_, "s3://", "check the credentials"};
  const NotingStorage noting_{&storage_};
};

TEST_F(WalkTest, FilesAndFoldersByName) {
  EXPECT_EQ(Found("s3://bucket/top.csv"), Names{"top.csv"});
  EXPECT_EQ(noting_.listed, Names{});
  EXPECT_EQ(Found("s3://bucket/logs/dt=1"), (Names{"logs/dt=1/hour=1/part-0.csv", "logs/dt=1/hour=2/part-0.csv"}));
  EXPECT_EQ(Found("s3://bucket").size(), 6u);
  const auto files = Find("s3://bucket/logs/dt=1");
  EXPECT_EQ(files->front().bytes, 3u);
  EXPECT_EQ(files->front().modified_ns, 1'800'000'000 * int64_t{1'000'000'000});
}

TEST_F(WalkTest, GlobsListOnlyWhatMayMatch) {
  EXPECT_EQ(Found("s3://bucket/logs/dt=*/hour=1/part-*.csv"),
            (Names{"logs/dt=1/hour=1/part-0.csv", "logs/dt=2/hour=1/part-0.csv"}));
  EXPECT_EQ(noting_.listed,
            (Names{"s3://bucket/logs", "s3://bucket/logs/dt=1/hour=1", "s3://bucket/logs/dt=2/hour=1"}));
  EXPECT_EQ(Found("s3://bucket/logs/dt=*/hour=2/part-0.csv"), Names{"logs/dt=1/hour=2/part-0.csv"})
      << "what is missing in one folder is no error";
  EXPECT_EQ(Found("s3://bucket/logs/*/hour=2"), Names{"logs/dt=1/hour=2/part-0.csv"});
  EXPECT_EQ(Found("s3://bucket/*.csv"), Names{"top.csv"});
  // Of a store a name with wildcards is always a pattern.
  EXPECT_EQ(Found("s3://bucket/logs/a[*]b.csv"), Names{"logs/a*b.csv"});
}

TEST_F(WalkTest, FiltersAreAskedBeforeFoldersAreListed) {
  const Names listed = {"s3://bucket/logs", "s3://bucket/logs/dt=2", "s3://bucket/logs/dt=2/hour=1"};
  for (const std::string path : {"s3://bucket/logs/dt=*", "s3://bucket/logs/dt=*/hour=*/*.csv"}) {
    EXPECT_EQ(Found(path, {"dt >= 2", "hour < 2"}).front(), "logs/dt=2/hour=1/part-0.csv");
    EXPECT_EQ(noting_.listed, listed) << path;
  }
  ExpectError(Find("s3://bucket/logs/dt=1", {"dt >= 2"}).status(), StatusCode::kNotFound,
              {"s3://bucket/logs/dt=1", "\"dt >= 2\""});
  EXPECT_EQ(noting_.listed, Names{});
  ExpectError(Find("s3://bucket/logs", {"dt >= 2"}).status(), StatusCode::kInvalidArgument, {"a*b.csv", "dt >= 2"});
  ExpectError(Find("s3://bucket/logs/dt=*", {"day = 2"}).status(), StatusCode::kInvalidArgument,
              {"\"day = 2\"", "dt", "hour"});
}

TEST_F(WalkTest, FoldersMayBeMadeOutOfWhatLiesBelow) {
  const ArrowStorage implied(files_, "s3://", "", /*implied_folders=*/true);
  for (const std::string folder : {"s3://bucket", "s3://bucket/logs", "s3://bucket/logs/dt=2/hour=1"}) {
    EXPECT_THAT(NamesIn(implied, folder), ::testing::UnorderedElementsAreArray(NamesIn(storage_, folder))) << folder;
  }
  EXPECT_EQ(implied.List("s3://bucket/none").status().code(), StatusCode::kNotFound);
}

TEST_F(WalkTest, WhatIsNotThereIsNamed) {
  ExpectError(Find("s3://bucket/none").status(), StatusCode::kNotFound, {"s3://bucket/none"});
  ExpectError(Find("s3://bucket/none/*.csv").status(), StatusCode::kNotFound, {"s3://bucket/none/*.csv"});
  ExpectError(Find("s3://bucket/logs/_temporary/hour=*/*.parquet").status(), StatusCode::kNotFound, {"hour=*"});
  EXPECT_EQ(Found("s3://bucket/logs/_temporary/hour=*/*.csv"), Names{"logs/_temporary/hour=1/part-0.csv"})
      << "a hidden folder that is named is meant";
}

TEST_F(WalkTest, AFileThatChangesIsNoticedWhenItIsOpened) {
  const StoredFile file = *storage_.Look("s3://bucket/top.csv");
  const auto opened = storage_.Open(file);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  EXPECT_EQ((*opened)->GetSize().ValueOrDie(), 1);
  StoredFile other = file;
  other.modified_ns -= 1'000'000'000;
  ExpectError(storage_.Open(other).status(), StatusCode::kDataLoss,
              {"s3://bucket/top.csv", "was changed", "same size"});
  other = file;
  other.modified_ns += 999'999'999;  // stores list finer times than they answer otherwise
  EXPECT_TRUE(storage_.Open(other).ok());
  Write("top.csv", "22");
  ExpectError(storage_.Open(file).status(), StatusCode::kDataLoss, {"was changed", "of 1 bytes", "found 2"});
  ASSERT_TRUE(files_->DeleteFile("bucket/top.csv").ok());
  ExpectError(storage_.Open(file).status(), StatusCode::kNotFound, {"s3://bucket/top.csv"});
}

}  // namespace
}  // namespace weir
