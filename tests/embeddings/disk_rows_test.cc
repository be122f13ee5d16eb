#include "embeddings/disk_rows.h"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "embeddings/presence_filter.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int kShards = 8;

DiskRowsOptions TestOptions(const std::string& path) {
  return {path, "server-0", kShards, 1 << 20, {{"clicks", 64, 4}, {"views", 6, 24}, {"plain", 4, 0}}};
}

// A row with its bytes. `version` tells two rows of a key apart.
struct OwnedRow {
  OwnedRow() = default;
  OwnedRow(const DiskTable& table, uint64_t key, uint64_t version)
      : weights(Bytes(table.weight_bytes, key, version)), state(Bytes(table.state_bytes, ~key, version)) {
    row = {key, static_cast<int64_t>(version), version * 3, nullptr, nullptr};
  }
  static std::string Bytes(int size, uint64_t key, uint64_t version) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(Fmix64(key + version * 1000003 + i)));
    return bytes;
  }
  DiskRow view() const {
    DiskRow seen = row;
    seen.weights = weights.data();
    seen.state = state.data();
    return seen;
  }

  DiskRow row;
  std::string weights, state;
};

void ExpectSame(const DiskTable& table, const DiskRow& found, const OwnedRow& expected) {
  ASSERT_EQ(found.key, expected.row.key);
  ASSERT_EQ(found.last_step, expected.row.last_step);
  ASSERT_EQ(found.count, expected.row.count);
  ASSERT_EQ(std::memcmp(found.weights, expected.weights.data(), table.weight_bytes), 0);
  ASSERT_EQ(std::memcmp(found.state, expected.state.data(), table.state_bytes), 0);
}

int Shard(uint64_t key) { return static_cast<int>(Fmix64(key) >> 61); }

Status PutAll(DiskRows& disk, int table, const std::vector<OwnedRow>& rows) {
  std::vector<DiskRow> views;
  for (const OwnedRow& row : rows) views.push_back(row.view());
  return disk.Put(table, views);
}

// Thousands of rows of table 0, so that several files come to be.
Status PutMany(DiskRows& disk, uint64_t keys, uint64_t version = 1) {
  std::vector<OwnedRow> rows;
  for (uint64_t key = 0; key < keys; ++key) rows.emplace_back(TestOptions("").tables[0], key, version);
  return PutAll(disk, 0, rows);
}

class Model {
 public:
  Model(DiskRows* disk, std::vector<DiskTable> tables)
      : disk_(disk), tables_(std::move(tables)), rows_(tables_.size()) {}

  void Put(int table, std::span<const uint64_t> keys, uint64_t version) {
    std::vector<OwnedRow> rows;
    for (uint64_t key : keys) {
      rows.emplace_back(tables_[table], key, version);
      rows_[table][{Shard(key), key}] = rows.back();
    }
    const Status put = PutAll(*disk_, table, rows);
    ASSERT_TRUE(put.ok()) << put.ToString();
  }

  void Erase(int table, std::span<const uint64_t> keys) {
    const Status erased = disk_->Erase(table, keys);
    ASSERT_TRUE(erased.ok()) << erased.ToString();
    for (uint64_t key : keys) rows_[table].erase({Shard(key), key});
  }

  void Get(int table, std::span<const uint64_t> keys) {
    std::vector<int> seen(keys.size());
    const Status got = disk_->Get(table, keys, [&](size_t i, const DiskRow& row) {
      ++seen[i];
      const auto expected = rows_[table].find({Shard(keys[i]), keys[i]});
      ASSERT_NE(expected, rows_[table].end()) << "key " << keys[i] << " was never put, or erased";
      ExpectSame(tables_[table], row, expected->second);
    });
    ASSERT_TRUE(got.ok()) << got.ToString();
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(seen[i], rows_[table].contains({Shard(keys[i]), keys[i]})) << "key " << keys[i];
    }
  }

  void Scan(int table, int shard) {
    auto cursor = disk_->Scan(table, shard);
    auto expected = rows_[table].lower_bound({shard, 0});
    DiskRow row;
    while (true) {
      Result<bool> more = cursor->Next(&row);
      ASSERT_TRUE(more.ok()) << more.status().ToString();
      const bool expects_more = expected != rows_[table].end() && expected->first.first == shard;
      ASSERT_EQ(*more, expects_more);
      if (!*more) break;
      ExpectSame(tables_[table], row, expected->second);
      ++expected;
    }
    ASSERT_FALSE(*cursor->Next(&row));
  }

 private:
  DiskRows* disk_;
  std::vector<DiskTable> tables_;
  std::vector<std::map<std::pair<int, uint64_t>, OwnedRow>> rows_;  // by table
};

TEST(DiskRows, RandomOperationsAgreeWithAMap) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  TemporaryFolder folder;
  auto disk = DiskRows::Open(TestOptions(folder.path()));
  ASSERT_TRUE(disk.ok()) << disk.status().ToString();
  Model model(disk->get(), TestOptions("").tables);
  for (int round = 1; round <= 1500 && !::testing::Test::HasFatalFailure(); ++round) {
    const int table = static_cast<int>(random() % 3);
    std::vector<uint64_t> keys(random() % 150);
    for (uint64_t& key : keys) {
      key = random() % 6000;
      if (key % 100 == 0) key = ~key;  // the last keys of the range too
    }
    switch (random() % 8) {
      case 0:
        model.Erase(table, keys);
        break;
      case 1:
        model.Scan(table, static_cast<int>(random() % kShards));
        break;
      case 2:
      case 3:
        model.Get(table, keys);
        break;
      default:
        model.Put(table, keys, round);
    }
  }
  for (int table = 0; table < 3; ++table) {
    for (int shard = 0; shard < kShards; ++shard) model.Scan(table, shard);
  }
  // What was put is far more than memtables hold, so files were written, merged and read.
  EXPECT_GT((*disk)->disk_bytes(0) + (*disk)->disk_bytes(1) + (*disk)->disk_bytes(2), 100 << 10);
}

TEST(DiskRows, MemoryStaysWithinTheBudget) {
  TemporaryFolder folder;
  DiskRowsOptions options = TestOptions(folder.path());
  options.memory_bytes = 4 << 20;
  auto disk = DiskRows::Open(options);
  ASSERT_TRUE(disk.ok()) << disk.status().ToString();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(PutMany(**disk, 100000, round).ok());
    std::vector<uint64_t> keys(10000);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = i * 7;
    int64_t found = 0;
    ASSERT_TRUE((*disk)->Get(0, keys, [&](size_t, const DiskRow&) { ++found; }).ok());
    EXPECT_EQ(found, 10000);
    EXPECT_LE((*disk)->memory_bytes(), options.memory_bytes);
  }
}

TEST(DiskRows, FolderIsEmptiedAtOpenAndGoneAtTheEnd) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/made";
  {
    auto disk = DiskRows::Open(TestOptions(path));
    ASSERT_TRUE(disk.ok()) << disk.status().ToString();
    ASSERT_TRUE(PutMany(**disk, 20000).ok());
    EXPECT_GT((*disk)->disk_bytes(0), 1 << 20);
    EXPECT_EQ((*disk)->disk_bytes(1), 0);
    EXPECT_EQ((*disk)->folder(), path + "/server-0");
    // A copy stands for what a killed process leaves behind.
    std::filesystem::copy(path + "/server-0", path + "/server-1", std::filesystem::copy_options::recursive);
    DiskRowsOptions options = TestOptions(path);
    options.owner = "server-1";
    auto again = DiskRows::Open(options);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ((*again)->disk_bytes(0), 0);
    std::vector<uint64_t> keys = {1, 2, 3};
    EXPECT_TRUE((*again)->Get(0, keys, [](size_t, const DiskRow&) { FAIL() << "a row of another run"; }).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(DiskRows, ForeignFolderIsRefusedAndLeftAlone) {
  TemporaryFolder folder;
  const std::string theirs = folder.path() + "/server-0/thesis.tex";
  std::filesystem::create_directory(folder.path() + "/server-0");
  std::ofstream(theirs) << "chapter 1";
  auto disk = DiskRows::Open(TestOptions(folder.path()));
  ASSERT_FALSE(disk.ok());
  EXPECT_EQ(disk.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(disk.status().message(), HasSubstr(folder.path() + "/server-0"));
  EXPECT_THAT(disk.status().message(), HasSubstr("thesis.tex"));
  EXPECT_TRUE(std::filesystem::exists(theirs));
}

TEST(DiskRows, OwnersOfOneNameHaveFoldersOfTheirOwn) {
  TemporaryFolder folder;
  auto first = DiskRows::Open(TestOptions(folder.path()));
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_TRUE(PutMany(**first, 100).ok());
  auto second = DiskRows::Open(TestOptions(folder.path()));
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ((*second)->folder(), folder.path() + "/server-0.1");
  std::vector<uint64_t> keys = {99};
  int found = 0;
  const auto count = [&](size_t, const DiskRow&) { ++found; };
  EXPECT_TRUE((*second)->Get(0, keys, count).ok());
  EXPECT_EQ(found, 0);
  EXPECT_TRUE((*first)->Get(0, keys, count).ok());
  EXPECT_EQ(found, 1);
}

TEST(DiskRows, FlippedBytesAreDataLoss) {
  TemporaryFolder folder;
  auto disk = DiskRows::Open(TestOptions(folder.path()));
  ASSERT_TRUE(disk.ok()) << disk.status().ToString();
  ASSERT_TRUE(PutMany(**disk, 50000).ok());
  int flipped = 0;
  for (const auto& file : std::filesystem::directory_iterator((*disk)->folder() + "/rows")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (uint64_t at = 100; at < std::min<uint64_t>(file.file_size() * 3 / 4, 1 << 20); at += 1000, ++flipped) {
      bytes.seekg(static_cast<std::streamoff>(at));
      const char was = static_cast<char>(bytes.get());
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(static_cast<char>(was ^ 0x10));
    }
  }
  ASSERT_GT(flipped, 0);
  const DiskTable table = TestOptions("").tables[0];
  Status status;
  for (uint64_t key = 0; key < 50000 && status.ok(); key += 10) {
    std::vector<uint64_t> keys = {key};
    // What is read all the same is what was written.
    status = (*disk)->Get(0, keys, [&](size_t, const DiskRow& row) { ExpectSame(table, row, {table, key, 1}); });
  }
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(folder.path()));
  EXPECT_THAT(status.message(), HasSubstr("table clicks"));
}

// A real full disk. Needs root for the mount.
TEST(DiskRows, FullDiskIsAnErrorAndLosesNoRow) {
  TemporaryFolder folder;
  if (::mount("weir", folder.path().c_str(), "tmpfs", 0, "size=6m") != 0) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string(ci) == "true") FAIL() << "mounting a tmpfs: " << std::strerror(errno);
    GTEST_SKIP() << "mounting a tmpfs: " << std::strerror(errno);
  }
  {
    auto disk = DiskRows::Open(TestOptions(folder.path()));
    ASSERT_TRUE(disk.ok()) << disk.status().ToString();
    const DiskTable table = TestOptions("").tables[0];
    Status status;
    std::vector<uint64_t> keys;
    while (status.ok() && keys.size() < 400000) {
      std::vector<OwnedRow> rows;
      for (int i = 0; i < 100; ++i) rows.emplace_back(table, keys.size() + i, 7);
      status = PutAll(**disk, 0, rows);
      if (!status.ok()) break;
      for (const OwnedRow& row : rows) keys.push_back(row.row.key);
    }
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr(folder.path()));
    EXPECT_THAT(status.message(), HasSubstr("table clicks"));
    EXPECT_GT(keys.size(), 10000u);
    size_t found = 0;
    const Status got = (*disk)->Get(0, keys, [&](size_t i, const DiskRow& row) {
      ++found;
      ExpectSame(table, row, {table, keys[i], 7});
    });
    EXPECT_TRUE(got.ok()) << got.ToString();
    EXPECT_EQ(found, keys.size()) << "rows were lost";
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  // Detached: another process of the system may be looking at it for a moment.
  EXPECT_EQ(::umount2(folder.path().c_str(), MNT_DETACH), 0) << std::strerror(errno);
}

TEST(PresenceFilter, NeverForgetsAndSeldomErrs) {
  constexpr int kKeys = 100000;
  PresenceFilter filter(kKeys * 11 / 8);
  for (int key = 0; key < kKeys; ++key) filter.Add(PresenceFilter::HashOf(0, key));
  int foreign = 0;
  for (int key = 0; key < kKeys; ++key) {
    ASSERT_TRUE(filter.MayContain(PresenceFilter::HashOf(0, key))) << key;
    foreign += filter.MayContain(PresenceFilter::HashOf(1, key));
  }
  EXPECT_LT(foreign, kKeys / 40);
  EXPECT_GT(foreign, 0);
}

}  // namespace
}  // namespace weir
