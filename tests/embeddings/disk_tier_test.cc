// Tables that memory cannot hold against tables that it can: the same bits, whatever happens.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/table_set.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr int kShards = 16;
constexpr uint64_t kKeys = 4000;

// A table of each kind of row; those at odd places have no disk. No path: none has.
std::vector<TableSpec> Specs(const std::string& path) {
  Job job;
  auto add = [&](const char* name, int dim) {
    TableConfig* table = job.add_tables();
    table->set_name(name);
    table->set_dim(dim);
    if (path.empty() || job.tables_size() % 2 == 0) return table;
    table->set_memory("20KiB");
    table->mutable_disk()->set_path(path);
    return table;
  };
  add("rowwise", 8)->mutable_optimizer()->mutable_rowwise_adagrad();
  add("held", 4)->mutable_optimizer()->mutable_adagrad();
  add("adam", 5)->mutable_optimizer()->mutable_adam();
  add("held_too", 3)->mutable_optimizer()->mutable_sgd();
  TableConfig* halves = add("bfloat16", 7);
  halves->set_weight_type(TableConfig::BFLOAT16);
  halves->mutable_optimizer()->mutable_adagrad();
  return TableSpecsFromJob(job);
}

std::vector<uint64_t> DrawKeys(std::mt19937_64& random, size_t draws) {
  std::set<uint64_t> distinct;
  for (size_t i = 0; i < draws; ++i)
    distinct.insert((random() % 2 ? random() % 200 : random() % kKeys) * 0x9e3779b97f4a7c15);
  std::vector<uint64_t> keys(distinct.begin(), distinct.end());
  std::shuffle(keys.begin(), keys.end(), random);
  return keys;
}

struct Row {
  int64_t last_step;
  uint64_t count;
  std::vector<float> values;
  bool operator==(const Row& other) const {
    return last_step == other.last_step && count == other.count && values.size() == other.values.size() &&
           std::memcmp(values.data(), other.values.data(), values.size() * sizeof(float)) == 0;
  }
};

// In the order of the scan.
std::vector<std::pair<uint64_t, Row>> Rows(const TableSet& tables, int table) {
  std::vector<std::pair<uint64_t, Row>> rows;
  const int width = tables.spec(table).layout.width();
  const Status scanned = tables.Scan(table, 0, kShards, 100, [&](const RowBlock& block) {
    for (int64_t i = 0; i < block.num_rows; ++i) {
      const float* values = block.values + i * width;
      rows.push_back({block.keys[i], {block.last_steps[i], block.counts[i], {values, values + width}}});
    }
    return Status();
  });
  EXPECT_TRUE(scanned.ok()) << scanned.ToString();
  return rows;
}

void ExpectSame(const TableSet& expected, const TableSet& found) {
  for (int table = 0; table < expected.num_tables(); ++table) {
    const auto rows = Rows(expected, table);
    EXPECT_TRUE(rows == Rows(found, table)) << expected.spec(table).name;
    EXPECT_EQ(expected.num_rows(table), rows.size());
    EXPECT_EQ(found.num_rows(table), rows.size());
  }
}

// Steps of two workers, applied to both sets, as pulls and pushes come in training.
class TwoSets {
 public:
  TwoSets(TableSet* expected, TableSet* found, std::mt19937_64* random)
      : expected_(expected), found_(found), random_(*random) {}

  void Run(int64_t begin, int64_t end) {
    for (int64_t step = begin; step < end && !::testing::Test::HasFailure(); ++step) Step(step);
  }

 private:
  struct Worker {
    std::vector<std::vector<uint64_t>> keys;
    std::vector<std::vector<float>> gradients;
  };

  void Step(int64_t step) {
    std::vector<Worker> workers(1 + random_() % 2);
    std::vector<std::vector<TablePush>> pushes(workers.size());
    for (size_t w = 0; w < workers.size(); ++w) {
      Worker& worker = workers[w];
      for (int table = 0; table < expected_->num_tables(); ++table) {
        const int dim = expected_->spec(table).layout.dim;
        worker.keys.push_back(DrawKeys(random_, 1 + random_() % 400));
        worker.gradients.emplace_back();
        for (size_t i = 0; i < worker.keys.back().size() * dim; ++i) {
          worker.gradients.back().push_back(static_cast<float>(random_() % 2001) / 1000 - 1);
        }
      }
      for (int table = 0; table < expected_->num_tables(); ++table) {
        pushes[w].push_back({table, worker.keys[table], worker.gradients[table].data()});
        if (random_() % 2) {
          EXPECT_TRUE(found_->Prefetch(table, worker.keys[table]).ok());
        }
        if (random_() % 4) ExpectSamePull(PullKind::kTraining, table, worker.keys[table]);
      }
    }
    if (step % 7 == 0) {
      for (int table = 0; table < expected_->num_tables(); ++table) {
        ExpectSamePull(PullKind::kEvaluation, table, DrawKeys(random_, 500));
      }
    }
    EXPECT_TRUE(expected_->Apply(step, pushes).ok());
    const Status applied = found_->Apply(step, pushes);
    EXPECT_TRUE(applied.ok()) << applied.ToString();
  }

  void ExpectSamePull(PullKind kind, int table, const std::vector<uint64_t>& keys) {
    const size_t floats = keys.size() * expected_->spec(table).layout.dim;
    std::vector<float> expected(floats, 1), found(floats, 2);
    EXPECT_TRUE(expected_->Pull(1, kind, table, keys, expected.data()).ok());
    const Status pulled = found_->Pull(1, kind, table, keys, found.data());
    EXPECT_TRUE(pulled.ok()) << pulled.ToString();
    EXPECT_EQ(std::memcmp(expected.data(), found.data(), floats * sizeof(float)), 0) << "table " << table;
  }

  TableSet* const expected_;
  TableSet* const found_;
  std::mt19937_64& random_;
};

TEST(DiskTier, SameBitsAsInMemory) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  TemporaryFolder folder;
  const std::string path = folder.path() + "/rows";
  TableSet in_memory(Specs(""), kShards);
  {
    TableSet tiered(Specs(path), kShards);
    ASSERT_TRUE(tiered.disk_status().ok()) << tiered.disk_status().ToString();
    TwoSets sets(&in_memory, &tiered, &random);
    for (int64_t begin = 1; begin < 120; begin += 30) {
      sets.Run(begin, begin + 30);
      ExpectSame(in_memory, tiered);
    }
    const TableStats stats = tiered.stats(0);
    EXPECT_EQ(stats.rows, in_memory.num_rows(0));
    EXPECT_GT(stats.disk_rows, stats.rows / 2);
    EXPECT_GT(stats.disk_hits, 1000);
    EXPECT_GT(stats.memory_hits, 100);
    EXPECT_EQ(tiered.stats(1), TableStats({.rows = in_memory.num_rows(1), .bytes = tiered.bytes(1)}));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(DiskTier, LoadedRowsGoOnWithTheSameBits) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  TemporaryFolder folder;
  TableSet in_memory(Specs(""), kShards), first(Specs(folder.path()), kShards), second(Specs(folder.path()), kShards);
  TwoSets(&in_memory, &first, &random).Run(1, 40);
  for (int table = 0; table < first.num_tables(); ++table) {
    ASSERT_TRUE(
        first.Scan(table, 0, kShards, 333, [&](const RowBlock& block) { return second.Load(table, block); }).ok());
  }
  ExpectSame(in_memory, second);
  TwoSets(&in_memory, &second, &random).Run(40, 80);
  ExpectSame(in_memory, second);
  // A row that only the disk has is noticed too.
  int refused = 0;
  ASSERT_TRUE(first
                  .Scan(0, 0, kShards, 1,
                        [&](const RowBlock& block) {
                          refused += second.Load(0, block).code() == StatusCode::kAlreadyExists;
                          return Status();
                        })
                  .ok());
  EXPECT_EQ(refused, first.num_rows(0));
}

TEST(DiskTier, OwnersSharesAddUp) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  TemporaryFolder folder;
  TableSet in_memory(Specs(""), kShards);
  TableSet lower(Specs(folder.path()), kShards, {"server-0", kShards / 2});
  TableSet upper(Specs(folder.path()), kShards, {"server-1", kShards / 2});
  for (int64_t step = 1; step <= 40; ++step) {
    const std::vector<uint64_t> keys = DrawKeys(random, 500);
    std::vector<uint64_t> parts[2];
    for (uint64_t key : keys) parts[VirtualShard(key, kShards) >= kShards / 2].push_back(key);
    const std::vector<float> gradients(keys.size() * 8, 0.5f);
    auto apply = [&](TableSet* tables, const std::vector<uint64_t>& of) {
      const std::vector<std::vector<TablePush>> pushes = {{{0, of, gradients.data()}}};
      ASSERT_TRUE(tables->Apply(step, pushes).ok());
    };
    apply(&in_memory, keys);
    apply(&lower, parts[0]);
    apply(&upper, parts[1]);
  }
  auto rows = Rows(lower, 0);
  for (auto& row : Rows(upper, 0)) rows.push_back(row);
  EXPECT_TRUE(rows == Rows(in_memory, 0));
}

TEST(DiskTier, ATableThatIsOnlyReadKeepsItsDisk) {
  TemporaryFolder folder;
  std::vector<TableSpec> specs = Specs(folder.path());
  for (TableSpec& spec : specs) spec.limits = ReadOnly(spec.limits);
  EXPECT_EQ(specs[0].limits.memory_bytes, 20 << 10);
  TableSet tables(specs, kShards);
  std::vector<uint64_t> keys(2000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = i;
  const std::vector<int64_t> steps(keys.size(), 3);
  const std::vector<uint64_t> counts(keys.size(), 4);
  const std::vector<float> values(keys.size() * 9, 0.25f);
  const RowBlock block = {static_cast<int64_t>(keys.size()), keys.data(), steps.data(), counts.data(), values.data()};
  ASSERT_TRUE(tables.Load(0, block).ok());
  EXPECT_GT(tables.stats(0).disk_rows, 1000);
  std::vector<float> pulled(keys.size() * 8);
  ASSERT_TRUE(tables.Pull(4, PullKind::kEvaluation, 0, keys, pulled.data()).ok());
  for (float weight : pulled) ASSERT_EQ(weight, 0.25f);
}

TEST(DiskTier, AFolderThatCannotBeUsedIsSaidByEveryCall) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() + "/local");
  std::ofstream(folder.path() + "/local/letters.txt") << "dear";
  TableSet tables(Specs(folder.path()), kShards);
  std::vector<uint64_t> keys = {1};
  std::vector<float> row(8);
  for (const Status& status : {tables.disk_status(), tables.Pull(1, PullKind::kTraining, 0, keys, row.data()),
                               tables.Prefetch(0, keys), tables.Apply(1, {})}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), ::testing::HasSubstr("letters.txt"));
  }
}

}  // namespace
}  // namespace weir
