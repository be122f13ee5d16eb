#include "embeddings/table_set.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <unordered_map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/initializer.h"
#include "embeddings/schedule.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr int kShards = 64;

TableSpec Spec(const std::string& name, int dim, uint64_t seed) {
  TableSpec spec;
  spec.name = name;
  spec.seed = seed;
  spec.optimizer.set_learning_rate(0.1);
  spec.optimizer.mutable_adagrad()->set_initial_accumulator(0.5);
  spec.initializer.mutable_uniform()->set_scale(0.5);
  spec.layout = MakeRowLayout(dim, spec.optimizer);
  return spec;
}

std::vector<TableSpec> Specs() { return {Spec("a", 3, 1), Spec("b", 16, 2), Spec("c", 1, 3)}; }

struct OracleRow {
  int64_t last_step = 0;
  uint64_t count = 0;
  std::vector<float> values;
  bool operator==(const OracleRow&) const = default;
};
using OracleTable = std::map<uint64_t, OracleRow>;

// One worker's pushes with the memory they point to.
struct WorkerPush {
  std::map<int, std::vector<uint64_t>> keys;
  std::map<int, std::vector<float>> gradients;
  std::vector<TablePush> pushes() const {
    std::vector<TablePush> all;
    for (const auto& [table, of_table] : keys) all.push_back({table, of_table, gradients.at(table).data()});
    return all;
  }
};

std::vector<std::vector<TablePush>> OneWorker(const WorkerPush& push) { return {push.pushes()}; }

// Only a faulty worker does so; a row that stands twice would be written twice.
TEST(TableSet, ANewKeyTwiceInAPushIsAnError) {
  TableSet tables(Specs(), kShards);
  const std::vector<uint64_t> keys = {5, 6, 5};
  const std::vector<float> gradients(9, 1);
  const std::vector<std::vector<TablePush>> pushes = {{{0, keys, gradients.data()}}};
  const Status status = tables.Apply(1, pushes);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("key 5 twice"));
}

WorkerPush RandomPush(const std::vector<TableSpec>& specs, uint64_t keys, std::mt19937_64& random) {
  WorkerPush push;
  for (int table = 0; table < static_cast<int>(specs.size()); ++table) {
    if (random() % 5 == 0) continue;
    auto& of_table = push.keys[table];
    const size_t size = random() % 150;
    for (size_t i = 0; i < size; ++i) {
      const uint64_t key = random() % 20 == 0 ? ~uint64_t{0} : random() % keys;
      if (std::find(of_table.begin(), of_table.end(), key) == of_table.end()) of_table.push_back(key);
    }
    auto& gradients = push.gradients[table];
    gradients.resize(of_table.size() * specs[table].layout.dim);
    for (float& g : gradients) g = std::normal_distribution<float>()(random);
  }
  return push;
}

// The part of a push whose keys a owner of shards with shard % owners == owner holds.
WorkerPush Part(const WorkerPush& push, const std::vector<TableSpec>& specs, int owner, int owners) {
  WorkerPush part;
  for (const auto& [table, keys] : push.keys) {
    const int dim = specs[table].layout.dim;
    auto& gradients = part.gradients[table];
    auto& of_table = part.keys[table];
    for (size_t i = 0; i < keys.size(); ++i) {
      if (VirtualShard(keys[i], kShards) % owners != owner) continue;
      of_table.push_back(keys[i]);
      const float* from = push.gradients.at(table).data() + i * dim;
      gradients.insert(gradients.end(), from, from + dim);
    }
  }
  return part;
}

// AdaGrad, scalar, one key at a time.
void OracleApply(const std::vector<TableSpec>& specs, int64_t step, const std::vector<WorkerPush>& workers,
                 std::vector<OracleTable>* tables) {
  for (int table = 0; table < static_cast<int>(specs.size()); ++table) {
    const TableSpec& spec = specs[table];
    const int dim = spec.layout.dim;
    std::map<uint64_t, std::pair<std::vector<float>, int>> sums;
    for (const WorkerPush& worker : workers) {
      if (!worker.keys.contains(table)) continue;
      for (size_t i = 0; i < worker.keys.at(table).size(); ++i) {
        const float* gradient = worker.gradients.at(table).data() + i * dim;
        auto [entry, is_new] = sums.try_emplace(worker.keys.at(table)[i]);
        auto& [sum, pushed] = entry->second;
        ++pushed;
        if (is_new) {
          sum.assign(gradient, gradient + dim);
        } else {
          for (int c = 0; c < dim; ++c) sum[c] = sum[c] + gradient[c];
        }
      }
    }
    const auto rate = static_cast<float>(LearningRate(spec.optimizer, step));
    for (const auto& [key, sum] : sums) {
      auto [entry, is_new] = (*tables)[table].try_emplace(key);
      OracleRow& row = entry->second;
      if (is_new) {
        row.values.assign(2 * dim, 0.5f);
        MakeRowInitializer(spec.initializer, dim, spec.seed)->Initialize(key, row.values.data());
      }
      row.last_step = step;
      row.count += sum.second;
      for (int c = 0; c < dim; ++c) {
        const float g = sum.first[c];
        row.values[dim + c] = row.values[dim + c] + g * g;
        row.values[c] = row.values[c] - rate * g / (std::sqrt(row.values[dim + c]) + 1e-10f);
      }
    }
  }
}

OracleTable Rows(const TableSet& tables, int table, int64_t rows_max = 10) {
  OracleTable rows;
  const int width = tables.spec(table).layout.width();
  const Status status = tables.Scan(table, 0, tables.virtual_shards(), rows_max, [&](const RowBlock& block) {
    EXPECT_GT(block.num_rows, 0);
    EXPECT_LE(block.num_rows, rows_max);
    for (int64_t i = 0; i < block.num_rows; ++i) {
      OracleRow row = {
          block.last_steps[i], block.counts[i], {block.values + i * width, block.values + (i + 1) * width}};
      EXPECT_TRUE(rows.emplace(block.keys[i], row).second) << "key " << block.keys[i] << " twice";
    }
    return Status();
  });
  EXPECT_TRUE(status.ok());
  return rows;
}

TEST(TableSetTest, ApplyAgreesWithTheOracleHoweverKeysAreSplit) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  const std::vector<TableSpec> specs = Specs();
  TableSet whole(specs, kShards);
  std::vector<std::unique_ptr<TableSet>> owners;
  for (int i = 0; i < 3; ++i) owners.push_back(std::make_unique<TableSet>(specs, kShards));
  std::vector<OracleTable> oracle(specs.size());

  for (int64_t step = 1; step <= 30; ++step) {
    std::vector<WorkerPush> workers;
    for (size_t w = 0; w < 1 + random() % 4; ++w) workers.push_back(RandomPush(specs, 1 + random() % 500, random));
    OracleApply(specs, step, workers, &oracle);
    std::vector<std::vector<TablePush>> pushes;
    for (const WorkerPush& worker : workers) pushes.push_back(worker.pushes());
    ASSERT_TRUE(whole.Apply(step, pushes).ok());
    for (int owner = 0; owner < 3; ++owner) {
      std::vector<WorkerPush> parts;
      for (const WorkerPush& worker : workers) parts.push_back(Part(worker, specs, owner, 3));
      pushes.clear();
      for (const WorkerPush& part : parts) pushes.push_back(part.pushes());
      ASSERT_TRUE(owners[owner]->Apply(step, pushes).ok());
    }
  }
  for (int table = 0; table < 3; ++table) {
    EXPECT_EQ(Rows(whole, table), oracle[table]);
    EXPECT_EQ(whole.num_rows(table), oracle[table].size());
    OracleTable merged;
    for (const auto& owner : owners) merged.merge(Rows(*owner, table));
    EXPECT_EQ(merged, oracle[table]);
  }
}

// Rows that pulls found up to three steps ago, by some of the workers: others have been made since.
TEST(TableSetTest, WhatAPullFoundChangesNoBit) {
  constexpr int64_t kSteps = 30, kAheadMax = 3;
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  const std::vector<TableSpec> specs = Specs();
  TableSet looked_up(specs, kShards), known(specs, kShards);
  std::vector<std::vector<WorkerPush>> steps(kSteps + 1);
  std::vector<std::map<std::pair<size_t, int>, FoundRows>> found(kSteps + 1);  // by worker and table
  for (std::vector<WorkerPush>& workers : steps) {
    for (size_t w = 0; w < 1 + random() % 4; ++w) workers.push_back(RandomPush(specs, 1 + random() % 500, random));
  }
  auto pull = [&](int64_t of_step, size_t worker) {
    for (const auto& [table, keys] : steps[of_step][worker].keys) {
      std::vector<float> rows(keys.size() * specs[table].layout.dim);
      FoundRows* of_table = &found[of_step][{worker, table}];
      ASSERT_TRUE(known.Pull(of_step, PullKind::kTraining, table, keys, rows.data(), of_table).ok());
    }
  };
  for (int64_t step = 1; step <= kSteps; ++step) {
    for (int64_t ahead = step; ahead <= std::min(step + kAheadMax, kSteps); ++ahead) {
      for (size_t w = 0; w < steps[ahead].size(); ++w) {
        if (random() % 4 == 0 && !found[ahead].contains({w, steps[ahead][w].keys.begin()->first})) pull(ahead, w);
      }
    }
    std::vector<std::vector<TablePush>> pushes;
    for (const WorkerPush& worker : steps[step]) pushes.push_back(worker.pushes());
    ASSERT_TRUE(looked_up.Apply(step, pushes).ok());
    for (size_t w = 0; w < pushes.size(); ++w) {
      for (TablePush& push : pushes[w]) {
        if (const auto of_table = found[step].find({w, push.table}); of_table != found[step].end()) {
          push.found = &of_table->second;
        }
      }
    }
    ASSERT_TRUE(known.Apply(step, pushes).ok());
  }
  for (int table = 0; table < 3; ++table) EXPECT_EQ(Rows(known, table), Rows(looked_up, table));
}

TEST(TableSetTest, PullGivesInitialWeightsAndChangesNothing) {
  TableSet tables(Specs(), kShards);
  const std::vector<uint64_t> keys = {0, 7, ~uint64_t{0}};
  std::vector<float> rows(3 * 16), expected(16);
  ASSERT_TRUE(tables.Pull(1, PullKind::kEvaluation, 1, keys, rows.data()).ok());
  for (int i = 0; i < 3; ++i) {
    MakeRowInitializer(Specs()[1].initializer, 16, 2)->Initialize(keys[i], expected.data());
    EXPECT_EQ(std::vector<float>(rows.begin() + i * 16, rows.begin() + i * 16 + 16), expected);
  }
  EXPECT_EQ(tables.num_rows(1), 0);
}

TEST(TableSetTest, PullGivesTrainedWeights) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  TableSet tables(Specs(), kShards);
  for (int64_t step = 1; step <= 5; ++step) {
    const WorkerPush push = RandomPush(Specs(), 1000, random);
    ASSERT_TRUE(tables.Apply(step, OneWorker(push)).ok());
  }
  for (int table = 0; table < 3; ++table) {
    const int dim = tables.spec(table).layout.dim;
    const OracleTable rows = Rows(tables, table);
    std::vector<uint64_t> keys;
    for (const auto& [key, row] : rows) keys.push_back(key);
    std::vector<float> pulled(keys.size() * dim);
    ASSERT_TRUE(tables.Pull(1, PullKind::kEvaluation, table, keys, pulled.data()).ok());
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(std::memcmp(pulled.data() + i * dim, rows.at(keys[i]).values.data(), dim * sizeof(float)), 0);
    }
  }
}

TableSet* FilledTables(uint64_t keys) {
  auto* tables = new TableSet(Specs(), kShards);
  WorkerPush push;
  for (uint64_t key = 0; key < keys; ++key) push.keys[0].push_back(key * 11);
  push.gradients[0].assign(keys * 3, 1);
  CHECK(tables->Apply(1, OneWorker(push)).ok());
  return tables;
}

TEST(TableSetTest, ScanGoesByShardAndKeyInFullBlocks) {
  std::unique_ptr<TableSet> tables(FilledTables(1000));
  std::vector<std::pair<int, uint64_t>> seen;
  std::vector<int64_t> sizes;
  ASSERT_TRUE(tables
                  ->Scan(0, 0, kShards, 300,
                         [&](const RowBlock& block) {
                           sizes.push_back(block.num_rows);
                           for (int64_t i = 0; i < block.num_rows; ++i) {
                             seen.emplace_back(VirtualShard(block.keys[i], kShards), block.keys[i]);
                           }
                           return Status();
                         })
                  .ok());
  EXPECT_EQ(sizes, (std::vector<int64_t>{300, 300, 300, 100}));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

TEST(TableSetTest, ScanOfPartsCoversTheWhole) {
  std::unique_ptr<TableSet> tables(FilledTables(1000));
  int64_t rows = 0;
  for (auto [begin, end] : {std::pair{0, 1}, std::pair{1, 20}, std::pair{20, 20}, std::pair{20, kShards}}) {
    ASSERT_TRUE(tables
                    ->Scan(0, begin, end, 1 << 16,
                           [&, begin = begin, end = end](const RowBlock& block) {
                             for (int64_t i = 0; i < block.num_rows; ++i) {
                               EXPECT_GE(VirtualShard(block.keys[i], kShards), begin);
                               EXPECT_LT(VirtualShard(block.keys[i], kShards), end);
                             }
                             rows += block.num_rows;
                             return Status();
                           })
                    .ok());
  }
  EXPECT_EQ(rows, 1000);
}

TEST(TableSetTest, ScanStopsAtTheFirstError) {
  std::unique_ptr<TableSet> tables(FilledTables(100));
  int calls = 0;
  const Status status = tables->Scan(
      0, 0, kShards, 10, [&](const RowBlock&) { return ++calls == 3 ? ResourceExhausted("disk full") : Status(); });
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(calls, 3);
}

TEST(TableSetTest, LoadRestoresRowsBitwise) {
  std::unique_ptr<TableSet> tables(FilledTables(1000));
  TableSet loaded(Specs(), kShards);
  ASSERT_TRUE(tables->Scan(0, 0, kShards, 77, [&](const RowBlock& block) { return loaded.Load(0, block); }).ok());
  EXPECT_EQ(Rows(loaded, 0), Rows(*tables, 0));
  const Status again = tables->Scan(0, 0, kShards, 77, [&](const RowBlock& block) { return loaded.Load(0, block); });
  EXPECT_EQ(again.code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(again.message().substr(0, 43), "table a: expected each key once, found key ");
}

TEST(TableSetTest, BytesCoverTheRows) {
  std::unique_ptr<TableSet> tables(FilledTables(100'000));
  const int64_t row_bytes = 24 + 6 * 4;
  EXPECT_GE(tables->bytes(), 100'000 * row_bytes);
  EXPECT_LE(tables->bytes(), 100'000 * (row_bytes + 32) + (2 << 20));
}

TEST(TableSpecsTest, FollowTheJob) {
  Job job;
  job.mutable_train()->set_seed(5);
  job.mutable_optimizers()->mutable_rows()->mutable_sgd();
  for (const char* name : {"a", "b"}) {
    job.add_tables()->set_name(name);
    job.mutable_tables()->rbegin()->set_dim(4);
  }
  job.mutable_tables(1)->mutable_optimizer()->mutable_adam();
  const std::vector<TableSpec> specs = TableSpecsFromJob(job);
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].name, "a");
  EXPECT_EQ(specs[0].layout.width(), 4);
  EXPECT_EQ(specs[1].layout.width(), 12);
  EXPECT_NE(specs[0].seed, specs[1].seed);
  EXPECT_EQ(specs[0].seed, 0xd5422a42be113db8ULL) << "part of what makes runs repeat";
  job.mutable_train()->set_seed(6);
  EXPECT_NE(TableSpecsFromJob(job)[0].seed, specs[0].seed);
}

}  // namespace
}  // namespace weir
