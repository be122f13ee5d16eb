// An output is seen whole or not at all, whatever fails on the way.
#include "launch/convert/parquet_output.h"

#include <numeric>

#include <arrow/array/builder_primitive.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "base/write_file.h"
#include "tests/checkpoint/faulty_file_system.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<arrow::Schema> Schema() { return arrow::schema({arrow::field("x", arrow::int64())}); }

std::shared_ptr<arrow::RecordBatch> Rows(int64_t first, int64_t n) {
  std::vector<int64_t> values(n);
  std::iota(values.begin(), values.end(), first);
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return arrow::RecordBatch::Make(Schema(), n, {builder.Finish().ValueOrDie()});
}

Result<ParquetWritten> WriteRows(FileSystem* files, const ParquetOutputOptions& options, int64_t rows) {
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<ParquetOutput> output, ParquetOutput::Open(files, options, Schema()));
  for (int64_t at = 0; at < rows; at += 70) {
    WEIR_RETURN_IF_ERROR(output->Write(Rows(at, std::min<int64_t>(70, rows - at))));
  }
  return output->Finish();
}

std::vector<int64_t> GroupRows(const std::string& path) {
  std::vector<int64_t> rows;
  const auto file = parquet::ParquetFileReader::OpenFile(path);
  for (int g = 0; g < file->metadata()->num_row_groups(); ++g)
    rows.push_back(file->metadata()->RowGroup(g)->num_rows());
  return rows;
}

std::vector<std::string> Names(const std::string& folder) { return *LocalFileSystem().List(folder); }

TEST(ParquetOutput, CutsRowGroupsAndFiles) {
  TemporaryFolder folder;
  ParquetOutputOptions options;
  options.path = folder.path() + "/out/";
  options.rows_per_group = 100;
  options.rows_per_file = 250;
  const auto written = WriteRows(&LocalFileSystem(), options, 600);
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->rows, 600);
  EXPECT_EQ(written->files, 3);
  EXPECT_THAT(Names(folder.path()), ElementsAre("out"));
  EXPECT_THAT(Names(folder.path() + "/out"),
              ElementsAre("part-00000.parquet", "part-00001.parquet", "part-00002.parquet"));
  EXPECT_THAT(GroupRows(options.path + "/part-00000.parquet"), ElementsAre(100, 100, 50));
  EXPECT_THAT(GroupRows(options.path + "/part-00002.parquet"), ElementsAre(100));
}

TEST(ParquetOutput, EndsARowGroupOfLongRowsEarlier) {
  TemporaryFolder folder;
  ParquetOutputOptions options;
  options.path = folder.path() + "/out.parquet";
  options.bytes_per_group = 1000;  // two batches of 70 rows
  ASSERT_TRUE(WriteRows(&LocalFileSystem(), options, 300).ok());
  EXPECT_THAT(GroupRows(options.path), ElementsAre(140, 140, 20));
}

TEST(ParquetOutput, WithoutRowsIsOneFile) {
  TemporaryFolder folder;
  ParquetOutputOptions options;
  options.path = folder.path() + "/new/out.parquet";
  const auto written = WriteRows(&LocalFileSystem(), options, 0);
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->files, 1);
  EXPECT_THAT(GroupRows(options.path), IsEmpty());
}

TEST(ParquetOutput, ReplacesOnlyWhatItMayReplace) {
  TemporaryFolder folder;
  ParquetOutputOptions options;
  options.path = folder.path() + "/out";
  ASSERT_TRUE(WriteRows(&LocalFileSystem(), options, 5).ok());
  Status status = WriteRows(&LocalFileSystem(), options, 7).status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(status.message(), HasSubstr("--force"));
  options.force = true;
  ASSERT_TRUE(WriteRows(&LocalFileSystem(), options, 7).ok());
  EXPECT_THAT(GroupRows(options.path + "/part-00000.parquet"), ElementsAre(7));
  EXPECT_THAT(Names(folder.path()), ElementsAre("out"));

  ASSERT_TRUE(WriteFile(&LocalFileSystem(), options.path + "/diary.txt", "dear").ok());
  status = WriteRows(&LocalFileSystem(), options, 9).status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(status.message(), HasSubstr("diary.txt"));
  options.path = folder.path() + "/other.parquet";
  ASSERT_TRUE(LocalFileSystem().CreateFolders(options.path).ok());
  EXPECT_EQ(WriteRows(&LocalFileSystem(), options, 9).status().code(), StatusCode::kAlreadyExists) << "a folder";
  options.rows_per_file = 3;
  EXPECT_EQ(WriteRows(&LocalFileSystem(), options, 9).status().code(), StatusCode::kInvalidArgument) << "a file";
}

// The disk is full at each call in turn: the error says so, and nothing is left but what was there.
TEST(ParquetOutput, LeavesNothingOnAFullDisk) {
  for (const bool replaces : {false, true}) {
    for (int64_t call = 0;; ++call) {
      SCOPED_TRACE(fmt::format("call {}, replacing: {}", call, replaces));
      TemporaryFolder folder;
      ParquetOutputOptions options;
      options.path = folder.path() + "/out";
      options.rows_per_file = 100;
      options.force = replaces;
      if (replaces) {
        ASSERT_TRUE(WriteRows(&LocalFileSystem(), options, 5).ok());
      }
      FaultyFileSystem faulty(&LocalFileSystem());
      faulty.FillAtCall(call);
      const auto written = WriteRows(&faulty, options, 150);
      if (written.ok()) {
        EXPECT_GT(call, 5);
        break;
      }
      EXPECT_EQ(written.status().code(), StatusCode::kResourceExhausted) << written.status().ToString();
      const bool named = Names(folder.path()) == std::vector<std::string>{"out"} &&
                         Names(options.path) == std::vector<std::string>{"part-00000.parquet", "part-00001.parquet"};
      // Only the last sync comes after the output has its name.
      if (named) {
        EXPECT_THAT(faulty.log()[call], HasSubstr("syncing folder")) << faulty.log()[call];
      } else if (replaces) {
        EXPECT_THAT(Names(folder.path()), ElementsAre("out"));
        EXPECT_THAT(GroupRows(options.path + "/part-00000.parquet"), ElementsAre(5));
      } else {
        EXPECT_THAT(Names(folder.path()), IsEmpty());
      }
    }
  }
}

}  // namespace
}  // namespace weir
