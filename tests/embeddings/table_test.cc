#include "embeddings/table.h"

#include <algorithm>
#include <map>
#include <random>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/table_set.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr uint64_t kLastKey = ~uint64_t{0};

RowLayout Layout(int dim, int state_width) {
  RowLayout layout{dim, {}};
  if (state_width > 0) layout.state.push_back({"sum", state_width, 0});
  return layout;
}

// The key whose mixed key is `hash`: Fmix64 backwards.
uint64_t KeyOfHash(uint64_t hash) {
  auto inverse = [](uint64_t odd) {
    uint64_t x = odd;
    for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
  };
  hash ^= hash >> 33;
  hash *= inverse(0xc4ceb9fe1a85ec53ULL);
  hash ^= hash >> 33;
  hash *= inverse(0xff51afd7ed558ccdULL);
  hash ^= hash >> 33;
  return hash;
}

TEST(TableTest, KeyOfHashInvertsTheMix) {
  for (uint64_t hash : {uint64_t{0}, uint64_t{1}, uint64_t{0x123456789abcdef}, kLastKey}) {
    EXPECT_EQ(Fmix64(KeyOfHash(hash)), hash);
  }
}

// Holds a table to a std::unordered_map from key to the value in its first weight.
class CheckedTable {
 public:
  CheckedTable(const RowLayout& layout, int virtual_shards)
      : table_(layout, virtual_shards), width_(layout.width()), virtual_shards_(virtual_shards) {}

  void FindOrInsert(const std::vector<uint64_t>& keys) {
    std::vector<Row*> rows(keys.size());
    auto inserted = std::make_unique<bool[]>(keys.size());
    table_.FindOrInsert(keys, rows.data(), inserted.get());
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(rows[i]->key, keys[i]);
      const bool is_new = !oracle_.contains(keys[i]);
      ASSERT_EQ(inserted[i], is_new) << "key " << keys[i];
      if (is_new) {
        ASSERT_EQ(rows[i]->count, 0u);
        ASSERT_EQ(rows[i]->last_step, 0);
        ASSERT_TRUE(AllAre(*rows[i], 0));
        places_[keys[i]] = rows[i];
      }
      ASSERT_EQ(places_[keys[i]], rows[i]) << "a row moved";
      ++oracle_[keys[i]];
      ++rows[i]->count;
      std::fill_n(rows[i]->values(), width_, static_cast<float>(oracle_[keys[i]]));
    }
  }

  void Find(const std::vector<uint64_t>& keys) const {
    std::vector<const Row*> rows(keys.size());
    table_.Find(keys, rows.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      auto found = oracle_.find(keys[i]);
      ASSERT_EQ(rows[i] != nullptr, found != oracle_.end()) << "key " << keys[i];
      if (rows[i] != nullptr) CheckRow(*rows[i], found->first, found->second);
    }
  }

  void CheckAll() const {
    ASSERT_EQ(table_.num_rows(), oracle_.size());
    std::vector<uint64_t> keys;
    for (const auto& [key, count] : oracle_) keys.push_back(key);
    Find(keys);
    std::unordered_set<uint64_t> seen;
    std::vector<const Row*> rows;
    for (int shard = 0; shard < virtual_shards_; ++shard) {
      table_.ShardRows(shard, &rows);
      for (size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(VirtualShard(rows[i]->key, virtual_shards_), shard);
        if (i > 0) {
          ASSERT_LT(rows[i - 1]->key, rows[i]->key);
        }
        ASSERT_TRUE(seen.insert(rows[i]->key).second) << "key " << rows[i]->key << " twice";
        ASSERT_TRUE(oracle_.contains(rows[i]->key));
      }
    }
    ASSERT_EQ(seen.size(), oracle_.size());
  }

  const Table& table() const { return table_; }

 private:
  bool AllAre(const Row& row, float value) const {
    return std::all_of(row.values(), row.values() + width_, [&](float f) { return f == value; });
  }

  void CheckRow(const Row& row, uint64_t key, uint64_t count) const {
    ASSERT_EQ(row.key, key);
    ASSERT_EQ(row.count, count);
    ASSERT_TRUE(AllAre(row, static_cast<float>(count))) << "key " << key;
  }

  Table table_;
  const int width_;
  const int virtual_shards_;
  std::unordered_map<uint64_t, uint64_t> oracle_;
  std::unordered_map<uint64_t, Row*> places_;
};

struct Shape {
  int dim;
  int state_width;
  int virtual_shards;
};

class TableRandomTest : public ::testing::TestWithParam<Shape> {};

TEST_P(TableRandomTest, AgreesWithUnorderedMap) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  CheckedTable table(Layout(GetParam().dim, GetParam().state_width), GetParam().virtual_shards);
  for (int round = 0; round < 400; ++round) {
    std::vector<uint64_t> keys(random() % 200);
    for (uint64_t& key : keys) {
      switch (random() % 5) {
        case 0:
          key = random();
          break;
        case 1:
          key = random() % 1000;
          break;
        case 2:
          key = kLastKey - random() % 3;
          break;
        case 3:
          key = random() % 3;
          break;
        // Same shard and tag, other key: only the key itself tells them apart.
        case 4:
          key = KeyOfHash((random() % 8 << 58 | 0x12345) + (random() % 4));
          break;
      }
    }
    if (random() % 3 == 0) {
      ASSERT_NO_FATAL_FAILURE(table.Find(keys));
    } else {
      ASSERT_NO_FATAL_FAILURE(table.FindOrInsert(keys));
    }
    if (round % 100 == 99) {
      ASSERT_NO_FATAL_FAILURE(table.CheckAll());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, TableRandomTest,
                         ::testing::Values(Shape{1, 0, 1}, Shape{1, 1, 2}, Shape{16, 1, 1024}, Shape{10, 20, 64},
                                           Shape{5, 5, 65536}, Shape{600, 1200, 16}));

TEST(TableTest, ExtremeKeysAreKeys) {
  CheckedTable table(Layout(2, 0), 1024);
  ASSERT_NO_FATAL_FAILURE(table.Find({0, kLastKey}));
  ASSERT_NO_FATAL_FAILURE(table.FindOrInsert({0}));
  ASSERT_NO_FATAL_FAILURE(table.Find({0, kLastKey}));
  ASSERT_NO_FATAL_FAILURE(table.FindOrInsert({kLastKey, 0}));
  ASSERT_NO_FATAL_FAILURE(table.CheckAll());
}

TEST(TableTest, KeyTwiceInABatchIsInsertedOnce) {
  CheckedTable table(Layout(2, 0), 16);
  ASSERT_NO_FATAL_FAILURE(table.FindOrInsert(std::vector<uint64_t>(100, 7)));
  EXPECT_EQ(table.table().num_rows(), 1);
}

// All keys share home and tag, and the home is the last slot: probing wraps and every comparison needs the key.
TEST(TableTest, CollidingKeysStayApart) {
  CheckedTable table(Layout(3, 1), 4);
  std::vector<uint64_t> keys;
  for (uint64_t low = 0; low < 500; ++low) keys.push_back(KeyOfHash(~uint64_t{0} << 30 | low));
  ASSERT_NO_FATAL_FAILURE(table.FindOrInsert(keys));
  ASSERT_NO_FATAL_FAILURE(table.Find({KeyOfHash(~uint64_t{0} << 30 | 1000)}));
  ASSERT_NO_FATAL_FAILURE(table.CheckAll());
}

TEST(TableTest, GrowsPastSeveralSlabs) {
  Table table(Layout(512, 512), 64);
  std::vector<uint64_t> keys(20000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = i * 0x10001;
  std::vector<Row*> rows(keys.size());
  auto inserted = std::make_unique<bool[]>(keys.size());
  table.FindOrInsert(keys, rows.data(), inserted.get());
  for (size_t i = 0; i < keys.size(); ++i) rows[i]->values()[1023] = static_cast<float>(i);
  std::vector<const Row*> found(keys.size());
  table.Find(keys, found.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(found[i], rows[i]);
    ASSERT_EQ(found[i]->values()[1023], static_cast<float>(i));
  }
  const int64_t row_bytes = 24 + 4 * 1024;
  EXPECT_GE(table.bytes(), 20000 * row_bytes);
  EXPECT_LE(table.bytes(), 20000 * row_bytes + 20000 * 32 + (4 << 20));
}

TEST(TableTest, SmallTableIsSmall) {
  Table table(Layout(16, 1), 1024);
  std::vector<uint64_t> keys = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  Row* rows[10];
  bool inserted[10];
  table.FindOrInsert(keys, rows, inserted);
  EXPECT_GT(table.bytes(), 0);
  EXPECT_LT(table.bytes(), 32 << 10);
}

TEST(VirtualShardTest, IsTheTopBitsOfTheMixedKey) {
  EXPECT_EQ(VirtualShard(12345, 1), 0);
  for (uint64_t key : {uint64_t{0}, uint64_t{1}, uint64_t{77}, kLastKey}) {
    EXPECT_EQ(VirtualShard(key, 2), Fmix64(key) >> 63);
    EXPECT_EQ(VirtualShard(key, 1024), Fmix64(key) >> 54);
    EXPECT_EQ(VirtualShard(key, 65536), Fmix64(key) >> 48);
  }
  EXPECT_EQ(VirtualShard(KeyOfHash(~uint64_t{0}), 1024), 1023);
}

}  // namespace
}  // namespace weir
