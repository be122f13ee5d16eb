// Rows of real tables: written by some owners, read by others, bit for bit.
#include "checkpoint/arrow_row_files.h"

#include <bit>
#include <cstring>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/faulty_file_system.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kShards = 16;

TableSpec Spec(const std::string& name, RowLayout layout) {
  TableSpec spec;
  spec.name = name;
  spec.layout = std::move(layout);
  return spec;
}

// A row-wise, an Adam and a stateless table; the last stays empty. Names as strange as they come.
std::vector<TableSpec> Specs() {
  return {Spec("../user/\"x\"\n", {4, {{"sum", 1, 0}}}),
          Spec(std::string("\xc3\xa9\0.arrow", 9), {2, {{"exp_avg", 2, 0}, {"exp_avg_sq", 2, 0}}}),
          Spec("item", {3, {}}), Spec("", {1, {}})};
}

uint32_t Bits(uint64_t table, uint64_t key, uint64_t i) {
  return static_cast<uint32_t>(Fmix64(key * 31 + table * 7 + i));  // any float: NaNs, infinities, denormals
}

// Adds rows for the keys of `shards` among `num_keys`, 0 and 2^64-1 with them.
void Fill(TableSet* tables, int table, int num_keys, ShardRange shards) {
  const int width = tables->spec(table).layout.width();
  std::vector<uint64_t> keys, counts;
  std::vector<int64_t> last_steps;
  std::vector<float> values;
  for (int i = 0; i < num_keys; ++i) {
    const uint64_t key = i == 0 ? 0 : i == 1 ? ~0ull : Fmix64(i * 977 + table);
    const int shard = VirtualShard(key, tables->virtual_shards());
    if (shard < shards.begin || shard >= shards.end) continue;
    keys.push_back(key);
    counts.push_back(key >> 1);
    last_steps.push_back(static_cast<int64_t>(key >> 20));
    for (int j = 0; j < width; ++j) values.push_back(std::bit_cast<float>(Bits(table, key, j)));
  }
  ASSERT_TRUE(tables
                  ->Load(table, {static_cast<int64_t>(keys.size()), keys.data(), last_steps.data(), counts.data(),
                                 values.data()})
                  .ok());
}

std::unique_ptr<TableSet> MakeTables(ShardRange shards, int num_keys = 1000) {
  auto tables = std::make_unique<TableSet>(Specs(), kShards);
  for (int table = 0; table < 3; ++table) Fill(tables.get(), table, num_keys, shards);
  return tables;
}

// All rows of some shards as bytes, in Scan's order.
std::string Dump(const TableSet& tables, ShardRange shards) {
  std::string bytes;
  auto add = [&](const void* data, size_t size) { bytes.append(static_cast<const char*>(data), size); };
  for (int table = 0; table < tables.num_tables(); ++table) {
    const int width = tables.spec(table).layout.width();
    Status status = tables.Scan(table, shards.begin, shards.end, 7, [&](const RowBlock& block) {
      for (int64_t i = 0; i < block.num_rows; ++i) {
        add(&block.keys[i], 8);
        add(&block.last_steps[i], 8);
        add(&block.counts[i], 8);
        add(block.values + i * width, width * sizeof(float));
      }
      return Status();
    });
    EXPECT_TRUE(status.ok());
    bytes += fmt::format("|{} rows|", tables.num_rows(table));
  }
  return bytes;
}

std::vector<ShardRange> Split(int owners) {
  std::vector<ShardRange> ranges;
  for (int i = 0; i < owners; ++i) ranges.push_back({kShards * i / owners, kShards * (i + 1) / owners});
  return ranges;
}

class ArrowRowFilesTest : public ::testing::Test {
 protected:
  std::vector<DataFile> Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                              const std::string& writer, RowFiles* row_files = nullptr) {
    EXPECT_TRUE(unsynced_.CreateFolders(folder).ok());
    Result<std::vector<DataFile>> files =
        (row_files == nullptr ? row_files_.get() : row_files)->Write(tables, shards, folder, writer, nullptr);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    return files.ok() ? *files : std::vector<DataFile>();
  }
  Status Read(const std::string& folder, std::span<const DataFile> files, ShardRange shards, TableSet* tables) {
    return row_files_->Read(folder, files, shards, tables, nullptr);
  }

  TemporaryFolder folder_;
  FaultyFileSystem unsynced_{&LocalFileSystem()};
  std::unique_ptr<RowFiles> row_files_ = MakeArrowRowFiles(&unsynced_);
};

// One owner writes, three read and write, two read and write, one reads: the rows it began with.
TEST_F(ArrowRowFilesTest, AnyOwnersReadWhatOthersWrote) {
  std::unique_ptr<TableSet> original = MakeTables({0, kShards});
  std::string folder = JoinPath(folder_.path(), "1");
  std::vector<DataFile> files = Write(*original, {0, kShards}, folder, "local");
  EXPECT_THAT(files, SizeIs(4));
  for (int owners : {3, 2, 16, 1}) {
    SCOPED_TRACE(owners);
    const std::string next = JoinPath(folder_.path(), fmt::format("to-{}", owners));
    std::vector<DataFile> next_files;
    for (size_t i = 0; i < Split(owners).size(); ++i) {
      const ShardRange shards = Split(owners)[i];
      TableSet share(Specs(), kShards);
      Status status = Read(folder, files, shards, &share);
      ASSERT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(Dump(share, {0, kShards}), Dump(*MakeTables(shards), {0, kShards}));
      const std::vector<DataFile> written = Write(share, shards, next, fmt::format("server-{}", i));
      next_files.insert(next_files.end(), written.begin(), written.end());
    }
    folder = next;
    files = next_files;
  }
  TableSet last(Specs(), kShards);
  ASSERT_TRUE(Read(folder, files, {0, kShards}, &last).ok());
  EXPECT_EQ(Dump(last, {0, kShards}), Dump(*original, {0, kShards}));
}

TEST_F(ArrowRowFilesTest, ManyBatchesAndManyFiles) {
  TableSet tables(Specs(), kShards);
  Fill(&tables, 0, 200'000, {0, kShards});  // 3.05 batches of 65,536
  auto small_files = MakeArrowRowFiles(&unsynced_, 1 << 20);
  int blocks = 0;
  const std::string whole = JoinPath(folder_.path(), "whole");
  ASSERT_TRUE(LocalFileSystem().CreateFolders(whole).ok());
  const std::vector<DataFile> one = *row_files_->Write(tables, {0, kShards}, whole, "a", [&] { ++blocks; });
  EXPECT_GE(blocks, 4);
  const std::string cut = JoinPath(folder_.path(), "cut");
  const std::vector<DataFile> many = Write(tables, {0, kShards}, cut, "a", small_files.get());
  EXPECT_GT(many.size(), one.size() + 5);
  std::set<std::string> names;
  for (const DataFile& file : many) {
    names.insert(file.name());
    EXPECT_LT(file.bytes(), 2u << 20);
  }
  EXPECT_EQ(names.size(), many.size());
  for (const auto& [folder, files] : {std::pair(whole, one), std::pair(cut, many)}) {
    TableSet read(Specs(), kShards);
    int read_blocks = 0;
    Status status = row_files_->Read(folder, files, {0, kShards}, &read, [&] { ++read_blocks; });
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_GE(read_blocks, 4);
    EXPECT_EQ(Dump(read, {0, kShards}), Dump(tables, {0, kShards}));
  }
}

TEST_F(ArrowRowFilesTest, EmptyTablesAndEmptyRanges) {
  TableSet empty(Specs(), kShards);
  const std::vector<DataFile> files = Write(empty, {0, kShards}, folder_.path(), "a");
  ASSERT_THAT(files, SizeIs(4));
  for (const DataFile& file : files) EXPECT_EQ(file.rows(), 0u);
  TableSet read(Specs(), kShards);
  EXPECT_TRUE(Read(folder_.path(), files, {0, kShards}, &read).ok());
  EXPECT_EQ(Dump(read, {0, kShards}), Dump(empty, {0, kShards}));
  EXPECT_TRUE(Write(empty, {5, 5}, folder_.path(), "b").empty());
  EXPECT_TRUE(Read(folder_.path(), {}, {5, 5}, &read).ok());
}

TEST_F(ArrowRowFilesTest, RefusesFilesThatDoNotCoverTheShards) {
  std::unique_ptr<TableSet> tables = MakeTables({0, kShards});
  std::vector<DataFile> files;
  for (int i = 0; i < 2; ++i) {
    const std::vector<DataFile> half = Write(*tables, Split(2)[i], folder_.path(), fmt::format("server-{}", i));
    files.insert(files.end(), half.begin(), half.end());
  }
  auto read = [&](const std::vector<DataFile>& some, ShardRange shards) {
    TableSet into(Specs(), kShards);
    return Read(folder_.path(), some, shards, &into);
  };
  EXPECT_TRUE(read(files, {3, 12}).ok());
  std::vector<DataFile> gap(files.begin() + 1, files.end());
  EXPECT_THAT(read(gap, {0, kShards}).message(), HasSubstr("expected a file whose virtual shards begin with 0"));
  EXPECT_TRUE(read(gap, {8, 16}).ok()) << "the missing shards are not wanted";
  std::vector<DataFile> short_of(files.begin(), files.end() - 1);
  EXPECT_THAT(read(short_of, {0, kShards}).message(), HasSubstr("no file holds virtual shards [8, 16)"));
  std::vector<DataFile> twice = files;
  twice.push_back(files[0]);
  EXPECT_EQ(read(twice, {0, kShards}).code(), StatusCode::kDataLoss);
}

TEST_F(ArrowRowFilesTest, RefusesAnotherJob) {
  std::unique_ptr<TableSet> tables = MakeTables({0, kShards});
  const std::vector<DataFile> files = Write(*tables, {0, kShards}, folder_.path(), "a");
  std::vector<TableSpec> fewer = Specs();
  fewer.erase(fewer.begin() + 2);
  TableSet without(fewer, kShards);
  Status status = Read(folder_.path(), files, {0, kShards}, &without);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("holds rows of table \"item\", which the job does not have"));
  TableSet other_shards(Specs(), 2 * kShards);
  status = Read(folder_.path(), files, {0, kShards}, &other_shards);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("weir.virtual_shards"));
  EXPECT_EQ(Read(folder_.path(), files, {0, kShards + 1}, tables.get()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(folder_.path(), files, {0, kShards}, tables.get()).code(), StatusCode::kAlreadyExists)
      << "the tables were not empty";
  EXPECT_EQ(row_files_->Write(*tables, {0, kShards}, folder_.path(), "../a", nullptr).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ArrowRowFilesTest, SaysWhichTableAFullDiskStopped) {
  std::unique_ptr<TableSet> tables = MakeTables({0, kShards});
  unsynced_.FillAfterBytes(100'000);
  Status status = row_files_->Write(*tables, {0, kShards}, folder_.path(), "a", nullptr).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("virtual shards [0, 16): writing "));
  EXPECT_THAT(status.message(), HasSubstr("No space left on device"));
}

}  // namespace
}  // namespace weir
