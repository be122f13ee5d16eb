#include "embeddings/row_cache.h"

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr int kShards = 8;
constexpr int kDim = 4;

RowLayout TestLayout() {
  RowLayout layout;
  layout.dim = kDim;
  layout.state = {{"sum", 1, 0}};
  return layout;
}

struct ModelRow {
  int64_t last_step = 0;
  uint64_t count = 0;
  float values[kDim + 1] = {};  // weights, state
};

// A table with room for few rows, its disk, and what it should hold.
class CachedTable {
 public:
  explicit CachedTable(int64_t rows_max) : rows_max_(std::max(rows_max, RowCache::kRowsMin)) {
    const RowLayout layout = TestLayout();
    auto opened = DiskRows::Open({folder_.path(), "local", kShards, 1 << 20, {{"t", layout.weight_bytes(), 4}}});
    CHECK(opened.ok()) << opened.status().ToString();
    disk_ = std::move(*opened);
    table_ = std::make_unique<Table>(layout, kShards, &memory_);
    cache_ = std::make_unique<RowCache>(layout, kShards, rows_max, table_.get(), disk_.get(), 0);
  }

  // One step: rows that are there are trained, others made.
  void Train(int64_t step, std::span<const uint64_t> keys) {
    std::vector<uint32_t> rows(keys.size());
    table_->Find(keys, rows.data(), Table::Touch::kWeightsAndRecord);
    std::vector<uint64_t> missing;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (rows[i] == kNoRow) {
        missing.push_back(keys[i]);
        continue;
      }
      cache_->Trained(rows[i]);
      Change(step, keys[i], rows[i]);
    }
    for (size_t begin = 0; begin < missing.size(); begin += cache_->fetch_rows_max()) {
      const auto part = std::span(missing).subspan(begin, std::min(cache_->fetch_rows_max(), missing.size() - begin));
      const Status fetched = cache_->Fetch(part, rows.data());
      ASSERT_TRUE(fetched.ok()) << fetched.ToString();
      for (size_t i = 0; i < part.size(); ++i) {
        ASSERT_EQ(rows[i] != kNoRow, model_.contains(part[i])) << part[i];
        if (rows[i] == kNoRow) {
          rows[i] = table_->Insert(part[i]);
          cache_->Inserted(rows[i]);
        } else {
          cache_->Trained(rows[i]);
        }
        Change(step, part[i], rows[i]);
      }
      ASSERT_LE(table_->num_rows(), rows_max_);
    }
    ASSERT_EQ(cache_->num_rows(), static_cast<int64_t>(model_.size()));
  }

  // What an evaluation sees.
  void Read(std::span<const uint64_t> keys) {
    std::vector<uint32_t> rows(keys.size());
    table_->Find(keys, rows.data(), Table::Touch::kWeights);
    std::set<uint64_t> seen;
    std::vector<uint64_t> missing;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (rows[i] == kNoRow) {
        missing.push_back(keys[i]);
        continue;
      }
      seen.insert(keys[i]);
      Expect(keys[i], {keys[i], table_->record(rows[i])->last_step(), table_->record(rows[i])->count(),
                       table_->weights(rows[i]), table_->record(rows[i])->state()});
    }
    const int64_t in_memory = table_->num_rows();
    const Status read = cache_->Read(missing, [&](size_t i, const DiskRow& row) {
      seen.insert(missing[i]);
      Expect(missing[i], row);
    });
    ASSERT_TRUE(read.ok()) << read.ToString();
    ASSERT_EQ(table_->num_rows(), in_memory);
    for (uint64_t key : keys) ASSERT_EQ(seen.contains(key), model_.contains(key)) << key;
  }

  void Scan() {
    size_t seen = 0;
    for (int shard = 0; shard < kShards; ++shard) {
      bool first = true;
      uint64_t before = 0;
      const Status scanned = cache_->Scan(shard, [&](const DiskRow& row) {
        EXPECT_TRUE(first || row.key > before);
        EXPECT_EQ(Fmix64(row.key) >> 61, static_cast<uint64_t>(shard));
        first = false;
        before = row.key;
        ++seen;
        Expect(row.key, row);
        return Status();
      });
      ASSERT_TRUE(scanned.ok()) << scanned.ToString();
    }
    ASSERT_EQ(seen, model_.size());
  }

  RowCache& cache() { return *cache_; }
  Table& table() { return *table_; }

 private:
  // As an optimizer might: what it writes depends on what was there.
  void Change(int64_t step, uint64_t key, uint32_t row) {
    ModelRow& model = model_[key];
    model.last_step = step;
    ++model.count;
    RowRecord* record = table_->record(row);
    record->set_last_step(step);
    record->set_count(record->count() + 1);
    auto* weights = static_cast<float*>(table_->weights(row));
    for (int c = 0; c < kDim; ++c) {
      const auto change = static_cast<float>(Fmix64(key + step) % 1000 + c);
      model.values[c] = model.values[c] * 0.5f + change;
      weights[c] = weights[c] * 0.5f + change;
    }
    model.values[kDim] += 1.25f;
    *record->state() += 1.25f;
  }

  void Expect(uint64_t key, const DiskRow& row) {
    const auto expected = model_.find(key);
    ASSERT_NE(expected, model_.end()) << key;
    EXPECT_EQ(row.last_step, expected->second.last_step) << key;
    EXPECT_EQ(row.count, expected->second.count) << key;
    EXPECT_EQ(std::memcmp(row.weights, expected->second.values, kDim * sizeof(float)), 0) << key;
    EXPECT_EQ(std::memcmp(row.state, expected->second.values + kDim, sizeof(float)), 0) << key;
  }

  const int64_t rows_max_;
  TemporaryFolder folder_;
  std::unique_ptr<DiskRows> disk_;
  TableMemory memory_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<RowCache> cache_;
  std::map<uint64_t, ModelRow> model_;
};

std::vector<uint64_t> DistinctKeys(std::mt19937_64& random, size_t number, uint64_t bound) {
  std::set<uint64_t> keys;
  while (keys.size() < number) keys.insert(random() % bound);
  std::vector<uint64_t> shuffled(keys.begin(), keys.end());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  return shuffled;
}

void RunRandomSteps(int64_t rows_max, size_t keys_max) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  CachedTable cached(rows_max);
  for (int64_t step = 1; step <= 400 && !::testing::Test::HasFailure(); ++step) {
    // Few of the keys are drawn often.
    const uint64_t bound = random() % 2 ? 2 * keys_max : 20 * keys_max;
    cached.Train(step, DistinctKeys(random, random() % keys_max, bound));
    if (step % 10 == 0) cached.Read(DistinctKeys(random, keys_max, bound));
    if (step % 80 == 0) cached.Scan();
  }
  cached.Scan();
  EXPECT_GT(cached.cache().disk_hits(), 1000);
  EXPECT_GT(cached.cache().memory_hits(), 100);
  EXPECT_GT(cached.cache().disk_rows(), cached.table().num_rows());
}

TEST(RowCache, HoldsWhatWasTrained) { RunRandomSteps(1000, 300); }

TEST(RowCache, HoldsStepsLargerThanMemory) { RunRandomSteps(1, 300); }

TEST(RowCache, RowsTrainedLatelyStayInMemory) {
  constexpr uint64_t kOften = 200;
  CachedTable cached(2000);
  std::vector<uint64_t> often, once;
  for (uint64_t key = 0; key < kOften; ++key) often.push_back(key);
  for (int64_t step = 1; step <= 100; ++step) {
    once.clear();
    for (uint64_t i = 0; i < 100; ++i) once.push_back(kOften + step * 100 + i);
    cached.Train(step, often);
    cached.Train(step, once);
  }
  EXPECT_EQ(cached.cache().disk_hits(), 0);
  EXPECT_EQ(cached.cache().num_rows(), 200 + 100 * 100);
}

TEST(RowCache, AwaitedRowsStayInMemory) {
  CachedTable cached(1000);
  std::vector<uint64_t> awaited, others;
  for (uint64_t key = 0; key < 100; ++key) awaited.push_back(key);
  for (uint64_t key = 100; key < 20000; ++key) others.push_back(key);
  cached.Train(1, awaited);
  std::vector<uint32_t> rows(awaited.size());
  cached.table().Find(awaited, rows.data(), Table::Touch::kWeights);
  for (uint32_t row : rows) cached.cache().Await(row);
  cached.Train(2, others);
  cached.table().Find(awaited, rows.data(), Table::Touch::kWeights);
  for (uint32_t row : rows) EXPECT_NE(row, kNoRow);
}

TEST(RowCache, RowsWithinABudgetCountEverything) {
  const int64_t rows = RowCache::RowsWithin(int64_t{1} << 30, TestLayout());
  // 16 of weights, 12 + 4 of record, 21 of index, 1 of flags.
  EXPECT_NEAR(static_cast<double>(rows), (1024.0 - 16) / 1024 * (1 << 30) / 54, 2);
}

}  // namespace
}  // namespace weir
