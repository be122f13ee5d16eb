#include "embeddings/table.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/table_set.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

RowLayout Layout(int dim, int state_width) {
  RowLayout layout;
  layout.dim = dim;
  if (state_width > 0) layout.state = {{"sum", state_width, 0}};
  return layout;
}

// Fmix64 undone: keys whose hash is chosen.
uint64_t KeyWithHash(uint64_t h) {
  h ^= h >> 33;
  h *= 0x9cb4b2f8129337dbULL;
  h ^= h >> 33;
  h *= 0x4f74430c22a54005ULL;
  h ^= h >> 33;
  return h;
}

int64_t Operations(int64_t by_default) {
  const char* set = std::getenv("WEIR_TEST_OPERATIONS");
  return set == nullptr ? by_default : std::atoll(set);
}

// A table beside a std::unordered_map that is told the same.
class Checked {
 public:
  Checked(const RowLayout& layout, int virtual_shards, Isa isa)
      : layout_(layout), virtual_shards_(virtual_shards), table_(layout, virtual_shards, &memory_, isa) {}

  Table& table() { return table_; }
  size_t size() const { return oracle_.size(); }
  const std::unordered_map<uint64_t, float>& oracle() const { return oracle_; }

  void FindOrInsert(const std::vector<uint64_t>& keys) {
    std::vector<uint32_t> rows(keys.size());
    std::unique_ptr<bool[]> inserted(new bool[keys.size()]);
    table_.FindOrInsert(keys, rows.data(), inserted.get());
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_NE(rows[i], kNoRow);
      auto [entry, is_new] = oracle_.try_emplace(keys[i], next_value_);
      ASSERT_EQ(inserted[i], is_new) << "key " << keys[i];
      if (is_new) {
        ExpectZeros(rows[i]);
        Fill(rows[i], next_value_++);
      }
      ExpectFilled(rows[i], entry->second, keys[i]);
    }
    ASSERT_EQ(table_.num_rows(), static_cast<int64_t>(oracle_.size()));
  }

  void Erase(const std::vector<uint64_t>& keys) {
    int64_t there = 0;
    for (uint64_t key : keys) there += static_cast<int64_t>(oracle_.erase(key));
    ASSERT_EQ(table_.Erase(keys), there);
    ASSERT_EQ(table_.num_rows(), static_cast<int64_t>(oracle_.size()));
  }

  void Find(const std::vector<uint64_t>& keys) {
    std::vector<uint32_t> rows(keys.size());
    size_t visited = 0;
    const Table::Visit visit = [&](size_t begin, size_t size) {
      ASSERT_EQ(begin, visited);
      for (size_t i = begin; i < begin + size; ++i) {
        const auto found = oracle_.find(keys[i]);
        ASSERT_EQ(rows[i] == kNoRow, found == oracle_.end()) << "key " << keys[i];
        if (rows[i] != kNoRow) ExpectFilled(rows[i], found->second, keys[i]);
      }
      visited += size;
    };
    table_.Find(keys, rows.data(), Table::Touch::kWeights, &visit);
    ASSERT_EQ(visited, keys.size());
  }

  void ExpectScanIsWhole() {
    std::vector<KeyIndex::Entry> entries;
    size_t seen = 0;
    for (int shard = 0; shard < virtual_shards_; ++shard) {
      table_.ShardEntries(shard, &entries);
      ASSERT_EQ(static_cast<int64_t>(entries.size()), table_.shard_rows(shard));
      for (size_t i = 0; i < entries.size(); ++i) {
        const auto found = oracle_.find(entries[i].key);
        ASSERT_NE(found, oracle_.end()) << "key " << entries[i].key;
        ExpectFilled(entries[i].row, found->second, entries[i].key);
        if (i > 0) {
          ASSERT_LT(entries[i - 1].key, entries[i].key);
        }
        ASSERT_EQ(VirtualShard(entries[i].key, virtual_shards_), shard);
      }
      seen += entries.size();
    }
    ASSERT_EQ(seen, oracle_.size());
  }

 private:
  float* weights(uint32_t row) { return static_cast<float*>(table_.weights(row)); }

  void Fill(uint32_t row, float value) {
    std::fill_n(weights(row), layout_.dim, value);
    table_.record(row)->set_count(static_cast<uint64_t>(value));
    std::fill_n(table_.record(row)->state(), layout_.state_width(), -value);
  }

  void ExpectZeros(uint32_t row) {
    for (int c = 0; c < layout_.dim; ++c) ASSERT_EQ(weights(row)[c], 0);
    ASSERT_EQ(table_.record(row)->count(), 0);
    ASSERT_EQ(table_.record(row)->last_step(), 0);
  }

  void ExpectFilled(uint32_t row, float value, uint64_t key) {
    ASSERT_EQ(weights(row)[0], value) << "key " << key;
    ASSERT_EQ(weights(row)[layout_.dim - 1], value) << "key " << key;
    ASSERT_EQ(table_.record(row)->count(), static_cast<uint64_t>(value));
    for (int c = 0; c < layout_.state_width(); ++c) ASSERT_EQ(table_.record(row)->state()[c], -value);
  }

  const RowLayout layout_;
  const int virtual_shards_;
  TableMemory memory_;
  Table table_;
  std::unordered_map<uint64_t, float> oracle_;
  float next_value_ = 1;
};

struct Case {
  int dim;
  int state_width;
  int virtual_shards;
};

class TableTest : public ::testing::TestWithParam<std::tuple<Case, Isa>> {};

TEST_P(TableTest, RandomOperationsAsUnorderedMap) {
  const auto& [c, isa] = GetParam();
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  Checked checked(Layout(c.dim, c.state_width), c.virtual_shards, isa);
  const int64_t operations = Operations(300'000);
  for (int64_t done = 0; done < operations;) {
    // The table fills, drains and fills again.
    const bool fills = done / (operations / 5 + 1) % 2 == 0;
    std::vector<uint64_t> keys(random() % 200);
    for (uint64_t& key : keys) {
      key = random() % 50 == 0 ? ~uint64_t{0} - random() % 2 : random() % (operations / 4 + 1000);
    }
    const uint64_t kind = random() % 10;
    if (kind < (fills ? 6 : 2)) {
      checked.FindOrInsert(keys);
    } else if (kind < 8) {
      checked.Erase(keys);
    } else {
      checked.Find(keys);
    }
    ASSERT_FALSE(HasFatalFailure());
    done += static_cast<int64_t>(keys.size()) + 1;
  }
  checked.ExpectScanIsWhole();
}

std::string CaseName(const ::testing::TestParamInfo<TableTest::ParamType>& info) {
  const auto& [c, isa] = info.param;
  std::string name = "Dim" + std::to_string(c.dim) + "Shards" + std::to_string(c.virtual_shards) + IsaName(isa);
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Layouts, TableTest,
                         ::testing::Combine(::testing::Values(Case{1, 0, 1}, Case{17, 1, 64}, Case{3, 6, 1024}),
                                            ::testing::ValuesIn(KnownIsas())),
                         CaseName);

// Enough keys in one shard that segments split and the directory doubles; then all are erased.
TEST(Table, SegmentsSplitAndEmpty) {
  for (int virtual_shards : {1, 4}) {
    Checked checked(Layout(1, 0), virtual_shards, BestIsa());
    std::vector<uint64_t> keys;
    for (uint64_t i = 0; i < 300'000; ++i) {
      keys.push_back(i);
      if (keys.size() < 1000) continue;
      checked.FindOrInsert(keys);
      ASSERT_FALSE(HasFatalFailure());
      keys.clear();
    }
    checked.ExpectScanIsWhole();
    for (const auto& [key, value] : checked.oracle()) keys.push_back(key);
    checked.Find(keys);
    checked.Erase(keys);
    ASSERT_FALSE(HasFatalFailure());
    checked.Find(keys);
    checked.ExpectScanIsWhole();
    // What was erased makes room for as much again.
    const int64_t bytes = checked.table().bytes();
    checked.FindOrInsert(keys);
    EXPECT_LE(checked.table().bytes(), bytes);
  }
}

// Keys that were chosen to share the leading bits of their hash fit nowhere near their home; they are still found, and
// the index does not grow out of all proportion.
TEST(Table, KeysWithTheSameLeadingBits) {
  for (int shared_bits : {20, 48, 54}) {
    Checked checked(Layout(2, 0), 16, BestIsa());
    std::vector<uint64_t> keys, others;
    for (uint64_t i = 0; i < 1000; ++i) keys.push_back(KeyWithHash(uint64_t{5} << 60 | i));
    if (shared_bits == 20) {
      for (uint64_t i = 0; i < 20'000; ++i) keys.push_back(KeyWithHash(uint64_t{5} << 60 | i << 20 | i));
    }
    if (shared_bits == 48) {
      for (uint64_t i = 0; i < 100'000; ++i) others.push_back(i);
      checked.FindOrInsert(others);
    }
    checked.FindOrInsert(keys);
    ASSERT_FALSE(HasFatalFailure());
    checked.Find(keys);
    checked.ExpectScanIsWhole();
    EXPECT_LT(checked.table().bytes(), 64 << 20) << shared_bits;
    const uint64_t seed = TestSeed();
    WEIR_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    std::shuffle(keys.begin(), keys.end(), random);
    const std::vector<uint64_t> half(keys.begin(), keys.begin() + keys.size() / 2);
    checked.Erase(half);
    checked.Find(keys);
    checked.FindOrInsert(half);
    checked.Find(keys);
    checked.ExpectScanIsWhole();
  }
}

// One shard far fuller than another: the other's segment must grow to hold high row numbers.
TEST(Table, UnevenShards) {
  Checked checked(Layout(1, 0), 2, BestIsa());
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < 200'000; ++i) keys.push_back(KeyWithHash(Fmix64(i) >> 1));
  checked.FindOrInsert(keys);
  const std::vector<uint64_t> few = {KeyWithHash(~uint64_t{0}), KeyWithHash(uint64_t{1} << 63)};
  checked.FindOrInsert(few);
  checked.Find(few);
  checked.ExpectScanIsWhole();
  EXPECT_EQ(checked.table().shard_rows(1), 2);
}

TEST(Table, ReservedRoomIsNotLeft) {
  TableMemory memory;
  Table table(Layout(16, 1), 64, &memory);
  constexpr int64_t kRows = 100'000;
  table.Reserve(kRows);
  std::vector<uint64_t> keys(kRows);
  for (int64_t i = 0; i < kRows; ++i) keys[i] = SplitMix64(i);
  std::vector<uint32_t> rows(kRows);
  std::unique_ptr<bool[]> inserted(new bool[kRows]);
  table.FindOrInsert(std::span(keys).first(1), rows.data(), inserted.get());
  const int64_t slabs = memory.bytes();
  table.FindOrInsert(keys, rows.data(), inserted.get());
  EXPECT_EQ(memory.bytes(), slabs);
  table.Reserve(10);  // asking for less is no error
  EXPECT_EQ(table.num_rows(), kRows);
}

TEST(Table, TablesShareOnePool) {
  TableMemory memory;
  int64_t bytes = 0;
  {
    Table narrow(Layout(3, 0), 16, &memory), wide(Layout(1000, 2000), 16, &memory);
    std::vector<uint64_t> keys(5000);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = i;
    std::vector<uint32_t> rows(keys.size());
    std::unique_ptr<bool[]> inserted(new bool[keys.size()]);
    narrow.FindOrInsert(keys, rows.data(), inserted.get());
    wide.FindOrInsert(keys, rows.data(), inserted.get());
    for (size_t i = 0; i < keys.size(); ++i) static_cast<float*>(wide.weights(rows[i]))[999] = static_cast<float>(i);
    wide.Find(keys, rows.data(), Table::Touch::kWeightsAndRecord);
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(static_cast<float*>(wide.weights(rows[i]))[999], static_cast<float>(i));
    }
    bytes = narrow.bytes() + wide.bytes();
    EXPECT_GE(memory.bytes(), 60 << 20);
    // What blocks and pieces are rounded up to.
    EXPECT_LE(bytes, memory.bytes());
    EXPECT_GE(bytes, memory.bytes() - (10 << 20));
  }
  EXPECT_EQ(memory.bytes(), 0) << "all of it went back";
}

TEST(RowRecord, HoldsWhatItIsGiven) {
  RowRecord record = {};
  record.set_last_step(RowRecord::kMax);
  record.set_count(5);
  EXPECT_EQ(record.last_step(), RowRecord::kMax);
  EXPECT_EQ(record.count(), 5);
  record.set_count(~uint64_t{0});
  EXPECT_EQ(record.count(), static_cast<uint64_t>(RowRecord::kMax));
  record.set_last_step((int64_t{1} << 40) + 3);
  EXPECT_EQ(record.last_step(), (int64_t{1} << 40) + 3);
}

}  // namespace
}  // namespace weir
