// Row files by themselves: what is written, and what a reader refuses.
#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/row_file_reader.h"
#include "checkpoint/row_file_writer.h"
#include "tests/checkpoint/faulty_file_system.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

FileSystem* Disk() { return &LocalFileSystem(); }

class RowFileTest : public ::testing::Test {
 protected:
  Result<DataFile> Write(const std::vector<TestRow>& rows) {
    return WriteRowFile(&unsynced_, folder_.path(), "rows.arrow", header_, rows);
  }
  Status ReadAs(const DataFile& entry, const RowFileHeader& header, std::vector<TestRow>* rows = nullptr) {
    WEIR_ASSIGN_OR_RETURN(auto reader, RowFileReader::Open(Disk(), folder_.path(), entry, header));
    while (true) {
      WEIR_ASSIGN_OR_RETURN(RowBatch batch, reader->Next());
      if (batch.num_rows == 0) return Status();
      for (int64_t i = 0; i < batch.num_rows && rows != nullptr; ++i) {
        TestRow row{batch.keys[i], batch.last_steps[i], batch.counts[i], {}};
        const std::vector<StateColumn> columns = ValueColumns(header.layout);
        for (size_t c = 0; c < columns.size(); ++c) {
          const float* values = batch.columns[c] + i * columns[c].width;
          row.values.insert(row.values.end(), values, values + columns[c].width);
        }
        rows->push_back(row);
      }
    }
  }
  Status Read(const DataFile& entry) { return ReadAs(entry, header_); }
  std::vector<TestRow> Sorted() { return RowsOfShards(MakeTestCheckpoint(50).tables[0], {0, 8}, 8); }
  std::string Path() const { return JoinPath(folder_.path(), "rows.arrow"); }

  TemporaryFolder folder_;
  FaultyFileSystem unsynced_{Disk()};
  RowFileHeader header_{"user", {2, {{"exp_avg", 2, 0}, {"sum", 1, 0}}}, {0, 8}, 8};
};

TEST_F(RowFileTest, RoundTrip) {
  const std::vector<TestRow> rows = Sorted();
  Result<DataFile> entry = Write(rows);
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  const std::string bytes = ReadBytes(Path());
  EXPECT_EQ(entry->bytes(), bytes.size());
  EXPECT_EQ(entry->crc32c(), Crc32c(bytes.data(), bytes.size()));
  EXPECT_EQ(entry->rows(), rows.size());
  std::vector<TestRow> read;
  Status status = ReadAs(*entry, header_, &read);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(read.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(read[i].key, rows[i].key);
    EXPECT_EQ(read[i].last_step, rows[i].last_step);
    EXPECT_EQ(read[i].count, rows[i].count);
    EXPECT_EQ(read[i].values, rows[i].values);
  }
}

TEST_F(RowFileTest, EveryChangedOrMissingByteIsSeen) {
  const DataFile entry = *Write(Sorted());
  const std::string bytes = ReadBytes(Path());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1 << (i % 8);
    WriteBytes(Path(), changed);
    Status status = Read(entry);
    ASSERT_EQ(status.code(), StatusCode::kDataLoss) << "byte " << i;
    ASSERT_THAT(status.message(), HasSubstr(Path()));
  }
  for (size_t size : {size_t{0}, size_t{7}, bytes.size() / 2, bytes.size() - 1}) {
    WriteBytes(Path(), bytes.substr(0, size));
    EXPECT_THAT(Read(entry).message(), HasSubstr(fmt::format("expected {} bytes, found {}", bytes.size(), size)));
  }
}

TEST_F(RowFileTest, RefusesRowsOutOfOrderOrPlace) {
  std::vector<TestRow> rows = Sorted();
  std::swap(rows[3], rows[4]);
  EXPECT_THAT(Read(*Write(rows)).message(), HasSubstr("table \"user\": expected ascending keys in virtual shard"));
  rows = Sorted();
  rows[5] = rows[4];
  EXPECT_EQ(Read(*Write(rows)).code(), StatusCode::kDataLoss) << "a key twice";
  rows = Sorted();
  rows[7].last_step = -1;
  EXPECT_THAT(Read(*Write(rows)).message(), HasSubstr("expected a last step of at least 0, found -1"));
  DataFile entry = *Write(Sorted());
  entry.set_rows(entry.rows() + 1);
  EXPECT_THAT(Read(entry).message(), HasSubstr("expected 41 rows, found 40"));
  header_.shards = {2, 5};
  Status status = Read(*Write(Sorted()));
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("expected keys of virtual shards [2, 5), found key"));
}

TEST_F(RowFileTest, BFloat16WeightsKeepTheirBits) {
  for (const bool with_state : {true, false}) {
    header_.layout = {4, {}, TableConfig::BFLOAT16};
    if (with_state) header_.layout.state = {{"sum", 1, 0}};
    std::vector<TestRow> rows = Sorted();
    std::mt19937_64 random(5);
    for (TestRow& row : rows) {
      row.values.resize(header_.layout.width());
      for (float& value : row.values) {
        const auto bits = static_cast<uint32_t>(random());  // NaN and infinities among them
        std::memcpy(&value, &bits, sizeof(value));
      }
      for (int i = 0; i < 4; ++i) {
        uint32_t bits;
        std::memcpy(&bits, &row.values[i], sizeof(bits));
        bits &= 0xffff0000;
        std::memcpy(&row.values[i], &bits, sizeof(bits));
      }
    }
    const DataFile entry = *Write(rows);
    std::vector<TestRow> read;
    Status status = ReadAs(entry, header_, &read);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_EQ(read.size(), rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(std::memcmp(read[i].values.data(), rows[i].values.data(), rows[i].values.size() * 4), 0) << i;
    }
    RowFileHeader wide = header_;
    wide.layout.weight_type = TableConfig::FLOAT32;
    Status refused = ReadAs(entry, wide);
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(refused.message(),
                HasSubstr("expected the weights of table \"user\" in float32, as its weight_type is, "
                          "found bfloat16"));
    for (TestRow& row : rows) std::fill(row.values.begin(), row.values.end(), 1.0f);
    const uint64_t narrow_bytes = Write(rows)->bytes();
    std::swap(wide, header_);
    const DataFile wide_entry = *Write(rows);
    EXPECT_GT(wide_entry.bytes(), narrow_bytes);
    EXPECT_THAT(ReadAs(wide_entry, wide).message(), HasSubstr("in bfloat16, as its weight_type is, found float32"));
  }
}

TEST_F(RowFileTest, RefusesAnotherLayout) {
  const DataFile entry = *Write(Sorted());
  auto read_as = [&](const RowLayout& layout, int virtual_shards) {
    return ReadAs(entry, {"user", layout, {0, 8}, virtual_shards});
  };
  Status dim = read_as({3, {{"exp_avg", 2, 0}, {"sum", 1, 0}}}, 8);
  EXPECT_EQ(dim.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(dim.message(), HasSubstr("expected weir.dim \"3\", found \"2\""));
  Status state = read_as({2, {{"sum", 1, 0}, {"exp_avg", 2, 0}}}, 8);
  EXPECT_EQ(state.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(state.message(), HasSubstr("rows of table \"user\" have another layout"));
  EXPECT_THAT(state.message(), HasSubstr("state.exp_avg: fixed_size_list<item: float not null>[2] not null"));
  Status shards = read_as(header_.layout, 16);
  EXPECT_EQ(shards.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(shards.message(), HasSubstr("expected weir.virtual_shards \"16\", found \"8\""));
  DataFile other = entry;
  other.set_table("item");
  EXPECT_EQ(Read(other).code(), StatusCode::kDataLoss);
  other = entry;
  other.set_shard_end(7);
  EXPECT_THAT(Read(other).message(), HasSubstr("expected weir.shard_end \"7\", found \"8\""));
}

// A file with a right checksum can still be anything: it must be refused or read, never crash or ask for wild memory.
TEST_F(RowFileTest, ForgedBytesNeverCrash) {
  DataFile entry = *Write(Sorted());
  const std::string bytes = ReadBytes(Path());
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string changed = bytes;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) changed[random() % changed.size()] = static_cast<char>(random());
    if (random() % 8 == 0) changed.resize(random() % changed.size());
    WriteBytes(Path(), changed);
    entry.set_bytes(changed.size());
    entry.set_crc32c(Crc32c(changed.data(), changed.size()));
    std::vector<TestRow> rows;
    refused += !ReadAs(entry, header_, &rows).ok();
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace weir
