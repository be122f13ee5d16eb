// Tables of every kind side by side, against maps of the standard library. WEIR_TEST_OPERATIONS: how many keys are
// pulled and pushed; ten million take minutes.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/table_policy.h"
#include "embeddings/table_set.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/embeddings/table_oracle.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr int kShards = 16;
constexpr int kDim = 2;
constexpr uint64_t kKeys = 30'000;

TableConfig* AddTable(Job* job, const std::string& name) {
  TableConfig* table = job->add_tables();
  table->set_name(name);
  table->set_dim(kDim);
  table->mutable_initializer()->mutable_constant();
  table->mutable_optimizer()->set_learning_rate(0.5);
  table->mutable_optimizer()->mutable_sgd();
  return table;
}

// Grows without a bound; drops its oldest rows; its least used and its resting ones; refuses; goes to disk.
std::vector<TableSpec> Specs(const std::string& path) {
  Job job;
  AddTable(&job, "plain");
  TableConfig* recent = AddTable(&job, "recent");
  recent->set_memory("300KiB");
  recent->mutable_eviction()->set_when_full(EvictionConfig::LEAST_RECENT);
  TableConfig* frequent = AddTable(&job, "frequent");
  frequent->set_memory("300KiB");
  frequent->mutable_eviction()->set_when_full(EvictionConfig::LEAST_FREQUENT);
  frequent->mutable_eviction()->set_ttl_steps(150);
  frequent->mutable_eviction()->set_every_steps(20);
  TableConfig* refuses = AddTable(&job, "refuses");
  refuses->set_memory("100KiB");
  refuses->mutable_eviction()->set_ttl_steps(100);
  refuses->mutable_eviction()->set_every_steps(7);
  TableConfig* tiered = AddTable(&job, "tiered");
  tiered->set_memory("200KiB");
  tiered->mutable_disk()->set_path(path);
  return TableSpecsFromJob(job);
}

TableOracle::Rules RulesOf(const TableSpec& spec) {
  TableOracle::Rules rules = {kDim, 0.5f, kShards, {}, spec.limits.eviction};
  if (!spec.limits.disk) rules.shard_rows_max = ShardRowsMax(spec.limits, spec.layout, kShards);
  return rules;
}

class Operations {
 public:
  Operations(const std::vector<TableSpec>& specs, uint64_t seed) : tables_(specs, kShards), random_(seed) {
    for (const TableSpec& spec : specs) oracles_.push_back(std::make_unique<TableOracle>(RulesOf(spec)));
  }

  TableSet& tables() { return tables_; }

  int64_t Step(int64_t step) {
    std::vector<TablePush> pushes;
    std::vector<std::vector<uint64_t>> keys(tables_.num_tables());
    std::vector<std::vector<float>> gradients(tables_.num_tables());
    std::map<int, Kept> next_kept;
    int64_t operations = 0;
    for (int table = 0; table < tables_.num_tables(); ++table) {
      Kept& kept = kept_[table];
      const bool again = random_() % 32 == 0;
      keys[table] = again ? kept.keys : Keys();
      operations += static_cast<int64_t>(keys[table].size());
      for (size_t i = 0; i < keys[table].size() * kDim; ++i) {
        gradients[table].push_back(static_cast<float>(random_() % 129) / 64 - 1);
      }
      if (random_() % 3 == 0) {
        EXPECT_TRUE(tables_.Prefetch(table, keys[table]).ok());
      }
      FoundRows found;
      if (random_() % 2 == 0) Pull(step, PullKind::kTraining, table, keys[table], &found);
      if (random_() % 8 == 0) Pull(step, PullKind::kEvaluation, table, Keys());
      pushes.push_back({table, keys[table], gradients[table].data()});
      if (again) pushes.back().found = &kept.found;
      if (!found.rows.empty() && random_() % 100 == 0) next_kept[table] = {keys[table], found};
    }
    const std::vector<std::vector<TablePush>> workers = {pushes};
    const Status applied = tables_.Apply(step, workers);
    EXPECT_TRUE(applied.ok()) << applied.ToString();
    for (auto& [table, kept] : next_kept) kept_[table] = std::move(kept);
    for (int table = 0; table < tables_.num_tables(); ++table) {
      oracles_[table]->Apply(step, keys[table], gradients[table]);
      EXPECT_EQ(tables_.num_rows(table), oracles_[table]->num_rows()) << Name(table) << ", step " << step;
    }
    return operations;
  }

  void ExpectSame() {
    for (int table = 0; table < tables_.num_tables(); ++table) {
      const int width = tables_.spec(table).layout.width();
      int64_t rows = 0;
      const Status status = tables_.Scan(table, 0, kShards, 100, [&](const RowBlock& block) {
        for (int64_t i = 0; i < block.num_rows; ++i) {
          const float* weights = block.values + i * width;
          const TableOracle::Row found = {block.last_steps[i], block.counts[i], {weights, weights + kDim}};
          const TableOracle::Row* expected = oracles_[table]->Find(block.keys[i]);
          EXPECT_TRUE(expected != nullptr && *expected == found) << Name(table) << ", key " << block.keys[i];
        }
        rows += block.num_rows;
        return Status();
      });
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(rows, oracles_[table]->num_rows()) << Name(table);
    }
  }

 private:
  // Keys of an earlier step, and where its pull found them: some rows may have gone since, and their numbers to others.
  struct Kept {
    std::vector<uint64_t> keys;
    FoundRows found;
  };

  const std::string& Name(int table) const { return tables_.spec(table).name; }

  // Distinct; a few come often. What is common changes over time.
  std::vector<uint64_t> Keys() {
    std::set<uint64_t> distinct;
    const size_t draws = random_() % 150;
    if (random_() % 100 == 0) hot_ = random_() % kKeys;
    for (size_t i = 0; i < draws; ++i) {
      const uint64_t rank = random_() % 2 == 0 ? (hot_ + random_() % 300) % kKeys : random_() % kKeys;
      distinct.insert(rank == 0 ? ~uint64_t{0} : rank);
    }
    std::vector<uint64_t> keys(distinct.begin(), distinct.end());
    std::shuffle(keys.begin(), keys.end(), random_);
    return keys;
  }

  void Pull(int64_t step, PullKind kind, int table, const std::vector<uint64_t>& keys, FoundRows* found = nullptr) {
    std::vector<float> rows(keys.size() * kDim, -1);
    const Status pulled = tables_.Pull(step, kind, table, keys, rows.data(), found);
    EXPECT_TRUE(pulled.ok()) << pulled.ToString();
    for (size_t i = 0; i < keys.size(); ++i) {
      const TableOracle::Row* row = oracles_[table]->Find(keys[i]);
      for (int c = 0; c < kDim; ++c) {
        EXPECT_EQ(rows[i * kDim + c], row == nullptr ? 0 : row->weights[c]) << Name(table) << ", key " << keys[i];
      }
    }
  }

  TableSet tables_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<TableOracle>> oracles_;
  std::map<int, Kept> kept_;  // by table
  uint64_t hot_ = 0;
};

TEST(RandomOperations, AreTheOraclesForTablesOfEveryKind) {
  const char* given = std::getenv("WEIR_TEST_OPERATIONS");
  const int64_t operations = given == nullptr ? 200'000 : std::atoll(given);
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  TemporaryFolder folder;
  Operations both(Specs(folder.path() + "/rows"), seed);
  ASSERT_TRUE(both.tables().disk_status().ok()) << both.tables().disk_status().ToString();
  int64_t step = 0;
  for (int64_t done = 0; done < operations && !HasFailure();) {
    done += both.Step(++step);
    if (step % 500 == 0) both.ExpectSame();
  }
  both.ExpectSame();
  // Every kind did what it is there for.
  EXPECT_GT(both.tables().stats(1).evicted_full, 0);
  EXPECT_GT(both.tables().stats(2).evicted_full, 0);
  EXPECT_GT(both.tables().stats(2).evicted_expired, 0);
  EXPECT_GT(both.tables().stats(3).refused, 0);
  EXPECT_GT(both.tables().stats(3).evicted_expired, 0);
  EXPECT_GT(both.tables().stats(4).disk_hits, 0);
  EXPECT_GT(both.tables().stats(4).disk_rows, both.tables().num_rows(4) / 2);
}

}  // namespace
}  // namespace weir
