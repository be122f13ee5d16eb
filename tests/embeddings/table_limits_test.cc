// Tables with limits, through TableSet: who gets a row, who loses it, in how much memory.
#include "embeddings/table_limits.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/bucket.h"
#include "embeddings/eviction.h"
#include "embeddings/table_policy.h"
#include "embeddings/table_set.h"
#include "tests/embeddings/table_oracle.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kShards = 4;
constexpr int kDim = 8;

TableSpec Spec(const TableConfig& config) {
  TableSpec spec;
  spec.name = "t";
  spec.seed = 5;
  spec.optimizer.set_learning_rate(0.1);
  spec.optimizer.mutable_rowwise_adagrad();
  spec.initializer.mutable_uniform()->set_scale(0.5);
  spec.layout = MakeRowLayout(kDim, spec.optimizer, config.weight_type());
  spec.limits = MakeTableLimits(config);
  return spec;
}

void Apply(TableSet* tables, int64_t step, const std::vector<uint64_t>& keys, int workers = 1, int64_t unix_ms = 0,
           float gradient = 1) {
  std::vector<float> gradients(keys.size() * kDim, gradient);
  const std::vector<std::vector<TablePush>> pushes(workers, {{0, keys, gradients.data()}});
  ASSERT_TRUE(tables->Apply(step, pushes, unix_ms).ok());
}

std::vector<float> Pull(TableSet* tables, int64_t step, PullKind kind, const std::vector<uint64_t>& keys) {
  std::vector<float> rows(keys.size() * kDim, -1);
  EXPECT_TRUE(tables->Pull(step, kind, 0, keys, rows.data()).ok());
  return rows;
}

struct Row {
  int64_t last_step;
  uint64_t count;
  std::vector<float> values;
  bool operator==(const Row&) const = default;
};

std::map<uint64_t, Row> Rows(const TableSet& tables, int shard_begin = 0, int shard_end = kShards) {
  std::map<uint64_t, Row> rows;
  const int64_t width = tables.spec(0).layout.width();
  const Status status = tables.Scan(0, shard_begin, shard_end, 100, [&](const RowBlock& block) {
    for (int64_t i = 0; i < block.num_rows; ++i) {
      const float* values = block.values + i * width;
      rows[block.keys[i]] = {block.last_steps[i], block.counts[i], {values, values + width}};
    }
    return Status();
  });
  EXPECT_TRUE(status.ok());
  return rows;
}

std::vector<uint64_t> Keys(const std::map<uint64_t, Row>& rows) {
  std::vector<uint64_t> keys;
  for (const auto& [key, row] : rows) keys.push_back(key);
  return keys;
}

std::vector<uint64_t> RandomKeys(std::mt19937_64& random, size_t n, uint64_t below) {
  std::set<uint64_t> keys;
  // Skewed, so that some keys come often.
  for (size_t i = 0; i < n; ++i) keys.insert(random() % (1 + random() % below));
  std::vector<uint64_t> shuffled(keys.begin(), keys.end());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  return shuffled;
}

TEST(TableLimits, ARowComesAtTheThresholdAndPullsForetellIt) {
  TableConfig config;
  config.mutable_admission()->mutable_count()->set_threshold(3);
  config.mutable_admission()->mutable_count()->set_filter_memory("64KiB");
  TableSet tables({Spec(config)}, kShards);
  TableSet free({Spec(TableConfig())}, kShards);
  const std::vector<float> zeros(2 * kDim), initial = Pull(&free, 1, PullKind::kTraining, {7, 8});
  for (int64_t step = 1; step <= 2; ++step) {
    EXPECT_EQ(Pull(&tables, step, PullKind::kTraining, {7, 8}), zeros) << step;
    Apply(&tables, step, {7, 8});
    EXPECT_EQ(tables.num_rows(0), 0) << step;
  }
  EXPECT_EQ(Pull(&tables, 3, PullKind::kTraining, {7, 8}), initial);
  EXPECT_EQ(Pull(&tables, 3, PullKind::kEvaluation, {7, 8}), zeros) << "an evaluation admits nothing";
  Apply(&tables, 3, {7, 8});
  Apply(&free, 3, {7, 8});
  EXPECT_EQ(Rows(tables), Rows(free));
  EXPECT_EQ(tables.stats(0).admitted, 2);
  EXPECT_EQ(tables.stats(0).not_admitted, 4);
}

TEST(TableLimits, WhatKeysReadThatWereNotAdmitted) {
  TableConfig config;
  config.mutable_admission()->mutable_count()->set_threshold(9);
  TableSet free({Spec(TableConfig())}, kShards);
  const std::vector<float> initial = Pull(&free, 1, PullKind::kTraining, {7, 8});
  config.mutable_admission()->set_not_admitted(AdmissionConfig::INITIAL);
  TableSet reads_initial({Spec(config)}, kShards);
  EXPECT_EQ(Pull(&reads_initial, 1, PullKind::kTraining, {7, 8}), initial);
  config.mutable_admission()->set_not_admitted(AdmissionConfig::SHARED);
  TableSet reads_shared({Spec(config)}, kShards);
  const std::vector<float> shared = Pull(&reads_shared, 1, PullKind::kTraining, {7, 8});
  EXPECT_TRUE(std::equal(shared.begin(), shared.begin() + kDim, shared.begin() + kDim));
  EXPECT_NE(shared[0], 0);
  EXPECT_NE(shared[0], initial[0]);
  // A table that is only read goes on so.
  TableSpec read_only = Spec(config);
  read_only.limits = ReadOnly(read_only.limits);
  TableSet serving({read_only}, kShards);
  EXPECT_EQ(Pull(&serving, 1, PullKind::kEvaluation, {7, 8}), shared);
}

TEST(TableLimits, SeveralWorkersCountEach) {
  TableConfig config;
  config.mutable_admission()->mutable_count()->set_threshold(3);
  TableSet tables({Spec(config)}, kShards);
  Apply(&tables, 1, {7}, /*workers=*/2);
  EXPECT_EQ(tables.num_rows(0), 0);
  Apply(&tables, 2, {7}, /*workers=*/2);
  EXPECT_EQ(tables.num_rows(0), 1);
  EXPECT_EQ(Rows(tables)[7].count, 2U);
}

TEST(TableLimits, AllowListAdmitsItsKeysOnly) {
  TableConfig config;
  config.mutable_admission()->mutable_allow_list()->set_path("keys");
  TableSpec spec = Spec(config);
  spec.limits.allow_list = std::make_shared<KeySet>(std::vector<uint64_t>{3, 5});
  TableSet tables({spec}, kShards);
  Apply(&tables, 1, {1, 3, 4, 5});
  EXPECT_THAT(Keys(Rows(tables)), ElementsAre(3, 5));
}

TableConfig Budget(const std::string& memory, EvictionConfig::WhenFull when_full) {
  TableConfig config;
  config.set_memory(memory);
  config.mutable_eviction()->set_when_full(when_full);
  return config;
}

TEST(TableLimits, ABudgetIsKeptAndItsRowsAreTheOracles) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  for (const auto policy : {EvictionConfig::REFUSE, EvictionConfig::LEAST_RECENT, EvictionConfig::LEAST_FREQUENT}) {
    std::mt19937_64 random(seed);
    const TableSpec spec = Spec(Budget("256KiB", policy));
    const int64_t rows_max = ShardRowsMax(spec.limits, spec.layout, kShards).value();
    TableSet tables({spec}, kShards);
    TableOracle oracle({kDim, 0, kShards, rows_max, spec.limits.eviction});
    const std::vector<float> gradients(400 * kDim);
    for (int64_t step = 1; step <= 150; ++step) {
      const std::vector<uint64_t> keys = RandomKeys(random, random() % 400, 12000);
      Apply(&tables, step, keys);
      oracle.Apply(step, keys, gradients);
      ASSERT_LE(tables.bytes(0), 256 << 10) << "policy " << policy << ", step " << step;
      if (step % 10 != 0) continue;
      ASSERT_EQ(Keys(Rows(tables)), oracle.keys()) << "policy " << policy << ", step " << step;
    }
    const TableStats stats = tables.stats(0);
    EXPECT_EQ(stats.rows, stats.admitted - stats.evicted_full);
    EXPECT_GT(stats.rows, kShards * rows_max * 9 / 10) << "the budget is used";
    EXPECT_EQ(stats.refused > 0, policy == EvictionConfig::REFUSE);
    EXPECT_EQ(stats.evicted_full > 0, policy != EvictionConfig::REFUSE);
  }
}

TEST(TableLimits, ABudgetHoldsForBigTablesWithFilterAndSweeps) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (const int64_t mib : {3, 11, 24}) {
    TableConfig config = Budget(std::to_string(mib) + "MiB", EvictionConfig::SMALL_NORM);
    config.mutable_eviction()->set_ttl_steps(9);
    config.mutable_eviction()->set_every_steps(5);
    config.mutable_admission()->mutable_count()->set_threshold(1);
    config.mutable_admission()->mutable_count()->set_filter_memory("1MiB");
    TableSet tables({Spec(config)}, kShards);
    int64_t most = 0;
    for (int64_t step = 1; step <= 18; ++step) {
      std::vector<uint64_t> keys(20000);
      for (uint64_t& key : keys) key = random();
      Apply(&tables, step, keys);
      most = std::max(most, tables.bytes(0));
      ASSERT_LE(tables.bytes(0), mib << 20) << "step " << step;
    }
    EXPECT_GT(most, (mib << 20) / 3);
  }
}

TEST(TableLimits, SmallNormsGoFirst) {
  TableSpec spec = Spec(Budget("16KiB", EvictionConfig::SMALL_NORM));
  const int64_t rows_max = *ShardRowsMax(spec.limits, spec.layout, 1);
  ASSERT_GE(rows_max, 16);
  TableSet tables({spec}, 1);
  std::vector<uint64_t> keys;
  for (int64_t key = 0; key < rows_max; ++key) keys.push_back(static_cast<uint64_t>(key));
  Apply(&tables, 1, keys, 1, 0, 0);  // initial weights stay
  const auto rows = Rows(tables, 0, 1);
  std::vector<std::pair<double, uint64_t>> norms;
  for (const auto& [key, row] : rows) norms.emplace_back(SquareNorm(std::span(row.values).first(kDim)), key);
  std::sort(norms.begin(), norms.end());
  Apply(&tables, 2, {100'000}, 1, 0, 0);
  const auto left = Rows(tables, 0, 1);
  const int64_t dropped = std::max<int64_t>(rows_max / 16, 1);
  EXPECT_EQ(static_cast<int64_t>(left.size()), rows_max - dropped + 1);
  for (int64_t i = 0; i < rows_max; ++i) EXPECT_EQ(left.count(norms[i].second), i >= dropped) << i;
}

TEST(TableLimits, RowsOfTheStepStayAndTheRestIsRefusedByKey) {
  TableSpec spec = Spec(Budget("16KiB", EvictionConfig::LEAST_RECENT));
  const int64_t rows_max = *ShardRowsMax(spec.limits, spec.layout, 1);
  TableSet tables({spec}, 1);
  std::vector<uint64_t> keys;
  for (int64_t key = rows_max + 9; key >= 0; --key) keys.push_back(static_cast<uint64_t>(key));
  Apply(&tables, 1, keys);
  std::sort(keys.begin(), keys.end());
  keys.resize(rows_max);
  EXPECT_EQ(Keys(Rows(tables, 0, 1)), keys);
  EXPECT_EQ(tables.stats(0).refused, 10);
}

TEST(TableLimits, StepsToLive) {
  TableConfig config;
  config.mutable_eviction()->set_ttl_steps(10);
  config.mutable_eviction()->set_every_steps(kShards);
  TableSet tables({Spec(config)}, kShards);
  std::vector<uint64_t> keys;
  for (uint64_t key = 0; key < 100; ++key) keys.push_back(key);
  Apply(&tables, 1, keys);
  for (int64_t step = 2; step <= 20; ++step) {
    Apply(&tables, step, {5});
    for (const auto& [key, row] : Rows(tables)) EXPECT_LT(step - row.last_step, 10 + kShards) << key;
    if (step < 11) {
      EXPECT_EQ(tables.num_rows(0), 100) << step;
    }
  }
  EXPECT_THAT(Keys(Rows(tables)), ElementsAre(5));
  EXPECT_EQ(tables.stats(0).evicted_expired, 99);
}

// Between a pull and its push the key's row goes, and its number to another key.
TEST(TableLimits, WhatAPullFoundIsForgottenWithTheRow) {
  TableConfig config;
  config.mutable_eviction()->set_ttl_steps(1);
  TableSet tables({Spec(config)}, kShards), looked_up({Spec(config)}, kShards);
  const std::vector<uint64_t> key = {1};
  std::vector<float> row(kDim);
  FoundRows found;
  for (TableSet* set : {&tables, &looked_up}) Apply(set, 1, key);
  ASSERT_TRUE(tables.Pull(2, PullKind::kTraining, 0, key, row.data(), &found).ok());
  EXPECT_NE(found.rows[0], kNoRow);
  for (TableSet* set : {&tables, &looked_up}) {
    for (int64_t step = 2; step <= 5; ++step) Apply(set, step, {2});
  }
  EXPECT_THAT(Keys(Rows(tables)), ElementsAre(2));
  for (TableSet* set : {&tables, &looked_up}) Apply(set, 6, {3});
  const std::vector<float> gradients(kDim, 1);
  const std::vector<std::vector<TablePush>> pushes = {
      {{.table = 0, .keys = key, .gradients = gradients.data(), .found = &found}}};
  ASSERT_TRUE(tables.Apply(7, pushes).ok());
  Apply(&looked_up, 7, key);
  EXPECT_EQ(Rows(tables), Rows(looked_up));
}

TEST(TableLimits, SecondsToLiveByTheTimesOfTheSteps) {
  TableConfig config;
  config.mutable_eviction()->set_ttl_s(60);
  config.mutable_eviction()->set_every_steps(1);
  TableSet tables({Spec(config)}, kShards);
  Apply(&tables, 1, {1, 2, 3}, 1, 1'000'000);
  Apply(&tables, 2, {2}, 1, 1'030'000);
  Apply(&tables, 3, {}, 1, 1'059'000);
  EXPECT_THAT(Keys(Rows(tables)), ElementsAre(1, 2, 3));
  Apply(&tables, 4, {}, 1, 1'061'000);
  EXPECT_THAT(Keys(Rows(tables)), ElementsAre(2));
  Apply(&tables, 5, {}, 1, 2'000'000);
  EXPECT_EQ(tables.num_rows(0), 0);
}

TEST(TableLimits, SmallNormsGoOnceTheyRested) {
  TableConfig config;
  config.mutable_eviction()->set_min_norm(0.7);
  config.mutable_eviction()->set_every_steps(5);
  config.set_weight_type(TableConfig::BFLOAT16);
  TableSet tables({Spec(config)}, kShards);
  std::vector<uint64_t> keys;
  for (uint64_t key = 0; key < 200; ++key) keys.push_back(key);
  Apply(&tables, 1, keys, 1, 0, 0);
  const auto before = Rows(tables);
  for (int64_t step = 2; step <= 12; ++step) Apply(&tables, step, {});
  const auto after = Rows(tables);
  for (const auto& [key, row] : before) {
    EXPECT_EQ(after.count(key), SquareNorm(std::span(row.values).first(kDim)) >= 0.49) << key;
  }
  EXPECT_GT(after.size(), 0U);
  EXPECT_LT(after.size(), 200U);
}

TEST(TableLimits, TombstonesAreOfKeysThatHaveNoRow) {
  TableConfig config;
  config.mutable_eviction()->set_ttl_steps(3);
  config.mutable_eviction()->set_every_steps(1);
  TableSet tables({Spec(config)}, 1);
  Apply(&tables, 1, {9, 4, 7});
  for (int64_t step = 2; step <= 5; ++step) Apply(&tables, step, {});
  Apply(&tables, 6, {4});
  EXPECT_THAT(tables.policy(0).Tombstones(0).value(), ElementsAre(7, 9));
  tables.ForgetTombstones();
  EXPECT_TRUE(tables.policy(0).Tombstones(0).value().empty());
  std::vector<uint64_t> many(5000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = i;
  Apply(&tables, 7, many);
  for (int64_t step = 8; step <= 11; ++step) Apply(&tables, step, {});
  EXPECT_FALSE(tables.policy(0).Tombstones(0).has_value()) << "too many to remember";
}

// All limits at once.
TableConfig Everything(EvictionConfig::WhenFull when_full) {
  TableConfig config = Budget("384KiB", when_full);
  config.mutable_eviction()->set_ttl_steps(60);
  config.mutable_eviction()->set_ttl_s(40);
  config.mutable_eviction()->set_min_norm(0.3);
  config.mutable_eviction()->set_every_steps(7);
  config.mutable_admission()->mutable_count()->set_threshold(2);
  config.mutable_admission()->mutable_count()->set_window_steps(30);
  config.mutable_admission()->mutable_count()->set_filter_memory("64KiB");
  return config;
}

// The owner of one virtual shard alone decides as the owner of all does.
TEST(TableLimits, OwnersDoNotShow) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  for (const auto policy : {EvictionConfig::REFUSE, EvictionConfig::LEAST_RECENT, EvictionConfig::LEAST_FREQUENT,
                            EvictionConfig::SMALL_NORM}) {
    std::mt19937_64 random(seed);
    const TableSpec spec = Spec(Everything(policy));
    TableSet whole({spec}, kShards);
    std::vector<std::unique_ptr<TableSet>> parts;
    for (int i = 0; i < kShards; ++i) parts.push_back(std::make_unique<TableSet>(std::vector{spec}, kShards));
    for (int64_t step = 1; step <= 120; ++step) {
      const std::vector<uint64_t> keys = RandomKeys(random, 600, 20000);
      Apply(&whole, step, keys, 1, step * 1000);
      for (int shard = 0; shard < kShards; ++shard) {
        std::vector<uint64_t> own;
        for (uint64_t key : keys) {
          if (VirtualShard(key, kShards) == shard) own.push_back(key);
        }
        std::reverse(own.begin(), own.end());
        Apply(parts[shard].get(), step, own, 1, step * 1000);
      }
    }
    EXPECT_GT(whole.num_rows(0), 0);
    const TableStats stats = whole.stats(0);
    EXPECT_GT(stats.evicted_full + stats.evicted_expired + stats.evicted_norm, 0);
    EXPECT_GT(stats.not_admitted, 0);
    TableStats sum;
    for (int shard = 0; shard < kShards; ++shard) {
      EXPECT_EQ(Rows(whole, shard, shard + 1), Rows(*parts[shard], shard, shard + 1)) << policy;
      EXPECT_EQ(whole.policy(0).SaveShard(shard), parts[shard]->policy(0).SaveShard(shard));
      sum += parts[shard]->stats(0);
    }
    sum.bytes = whole.bytes(0);
    EXPECT_EQ(whole.stats(0), sum);
  }
}

// What is saved in the middle of a window goes on with the same bits.
TEST(TableLimits, AResumeGoesOnWithTheSameBits) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  const TableSpec spec = Spec(Everything(EvictionConfig::LEAST_FREQUENT));
  TableSet straight({spec}, kShards);
  auto resumed = std::make_unique<TableSet>(std::vector{spec}, kShards);
  for (int64_t step = 1; step <= 150; ++step) {
    const std::vector<uint64_t> keys = RandomKeys(random, 500, 20000);
    EXPECT_EQ(Pull(&straight, step, PullKind::kTraining, keys), Pull(resumed.get(), step, PullKind::kTraining, keys));
    Apply(&straight, step, keys, 1, step * 777);
    Apply(resumed.get(), step, keys, 1, step * 777);
    if (step % 13 != 0) continue;
    auto next = std::make_unique<TableSet>(std::vector{spec}, kShards);
    const Status copied = resumed->Scan(0, 0, kShards, 64, [&](const RowBlock& block) { return next->Load(0, block); });
    ASSERT_TRUE(copied.ok());
    TablePolicy* policy = next->mutable_policy(0);
    ASSERT_TRUE(policy->Load(resumed->policy(0).Save()).ok());
    for (int shard = 0; shard < kShards; ++shard) {
      ASSERT_TRUE(policy->LoadShard(shard, resumed->policy(0).SaveShard(shard)).ok());
    }
    ASSERT_TRUE(policy->FitLoaded().ok());
    resumed = std::move(next);
    ASSERT_EQ(Rows(straight), Rows(*resumed)) << step;
  }
  EXPECT_GT(straight.stats(0).evicted_full, 0);
  EXPECT_EQ(Rows(straight), Rows(*resumed));
}

TEST(TableLimits, ASmallerBudgetDropsOrRefusesWhatWasLoaded) {
  TableSet tables({Spec(TableConfig())}, 1);
  std::vector<uint64_t> keys;
  for (uint64_t key = 0; key < 2000; ++key) keys.push_back(key);
  Apply(&tables, 1, keys);
  Apply(&tables, 2, {1990, 1991});
  for (const auto policy : {EvictionConfig::REFUSE, EvictionConfig::LEAST_RECENT}) {
    const TableSpec spec = Spec(Budget("64KiB", policy));
    TableSet smaller({spec}, 1);
    ASSERT_TRUE(tables.Scan(0, 0, 1, 64, [&](const RowBlock& block) { return smaller.Load(0, block); }).ok());
    const Status status = smaller.mutable_policy(0)->FitLoaded();
    if (policy == EvictionConfig::REFUSE) {
      EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
      EXPECT_THAT(status.message(), HasSubstr("table t: virtual shard 0 has 2000 rows, expected at most"));
    } else {
      EXPECT_TRUE(status.ok());
      EXPECT_EQ(smaller.num_rows(0), *ShardRowsMax(spec.limits, spec.layout, 1));
      EXPECT_EQ(Rows(smaller, 0, 1).count(1990), 1U);
    }
  }
}

TEST(TablePolicy, RefusesDamagedBytes) {
  const TableSpec spec = Spec(Everything(EvictionConfig::LEAST_RECENT));
  TableSet tables({spec}, kShards);
  for (int64_t step = 1; step <= 100; ++step)
    Apply(&tables, step, {1, 2, 3, static_cast<uint64_t>(step)}, 2, step * 900);
  TablePolicy* policy = tables.mutable_policy(0);
  const std::vector<uint8_t> times = policy->Save();
  ASSERT_FALSE(times.empty());
  for (size_t size = 1; size < times.size(); ++size) {
    EXPECT_EQ(policy->Load(std::span(times).first(size)).code(), StatusCode::kDataLoss) << size;
  }
  const std::vector<uint8_t> shard = policy->SaveShard(0);
  ASSERT_FALSE(shard.empty());
  for (size_t size = 1; size < shard.size(); size += size < 64 ? 1 : 97) {
    EXPECT_EQ(policy->LoadShard(0, std::span(shard).first(size)).code(), StatusCode::kDataLoss) << size;
  }
  std::vector<uint8_t> huge = shard;
  std::fill_n(huge.begin(), 8, 0xff);
  EXPECT_EQ(policy->LoadShard(0, huge).code(), StatusCode::kDataLoss);
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint8_t> other = i % 2 == 0 ? shard : times;
    for (int flips = 0; flips < 3; ++flips) other[random() % std::min<size_t>(other.size(), 80)] ^= 1 << random() % 8;
    const Status status = i % 2 == 0 ? policy->LoadShard(0, other) : policy->Load(other);
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kDataLoss) << status.ToString();
  }
}

}  // namespace
}  // namespace weir
