#include "embeddings/eviction.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

std::vector<EvictionRow> RandomRows(std::mt19937_64& random, int n) {
  std::vector<EvictionRow> rows;
  for (int i = 0; i < n; ++i) {
    // Few values, so that many rows tie.
    rows.push_back({random(), static_cast<int64_t>(random() % 5), random() % 5, static_cast<double>(random() % 5)});
  }
  return rows;
}

TEST(SelectVictims, TakesTheLowestByPolicyThenKey) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (const auto policy : {EvictionConfig::LEAST_RECENT, EvictionConfig::LEAST_FREQUENT, EvictionConfig::SMALL_NORM}) {
    const auto order = [&](const EvictionRow& row) {
      const double value = policy == EvictionConfig::LEAST_RECENT     ? static_cast<double>(row.last_step)
                           : policy == EvictionConfig::LEAST_FREQUENT ? static_cast<double>(row.count)
                                                                      : row.square_norm;
      return std::pair(value, row.key);
    };
    for (const int64_t n : {0, 1, 50, 199, 200}) {
      std::vector<EvictionRow> rows = RandomRows(random, 200);
      std::vector<std::pair<double, uint64_t>> expected;
      for (const EvictionRow& row : rows) expected.push_back(order(row));
      std::sort(expected.begin(), expected.end());
      SelectVictims(policy, n, rows);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(order(rows[i]), expected[i]) << policy << " " << n << " " << i;
    }
  }
}

TEST(SelectVictims, NotANumberGoesLast) {
  std::vector<EvictionRow> rows = {{1, 1, 1, NAN}, {2, 1, 1, 5}, {3, 1, 1, NAN}, {4, 1, 1, 1}};
  SelectVictims(EvictionConfig::SMALL_NORM, 3, rows);
  EXPECT_EQ(rows[0].key, 4U);
  EXPECT_EQ(rows[1].key, 2U);
  EXPECT_EQ(rows[2].key, 1U);
}

TEST(RowsToDrop, GoesBySixteenths) {
  EXPECT_EQ(RowsToDrop(160, 100, 100, 60), 0);
  EXPECT_EQ(RowsToDrop(160, 160, 160, 1), 10);
  EXPECT_EQ(RowsToDrop(160, 160, 160, 10), 10);
  EXPECT_EQ(RowsToDrop(160, 160, 160, 11), 20);
  EXPECT_EQ(RowsToDrop(160, 155, 155, 6), 10);
  EXPECT_EQ(RowsToDrop(160, 160, 7, 11), 7);
  EXPECT_EQ(RowsToDrop(160, 160, 0, 11), 0);
  EXPECT_EQ(RowsToDrop(3, 3, 3, 2), 2);
}

EvictionConfig Sweep(int64_t ttl_steps, double ttl_s, double min_norm, int64_t every_steps) {
  EvictionConfig config;
  config.set_ttl_steps(ttl_steps);
  config.set_ttl_s(ttl_s);
  config.set_min_norm(min_norm);
  config.set_every_steps(every_steps);
  return config;
}

TEST(SweepRule, EveryShardHasItsTurnOnce) {
  for (const int64_t every : {1, 3, 16, 40}) {
    const SweepRule rule(Sweep(5, 0, 0, every));
    std::multiset<int> seen;
    for (int64_t step = 1000; step < 1000 + every; ++step) {
      for (int shard : rule.ShardsAt(step, 16)) {
        EXPECT_EQ(shard % every, step % every);
        seen.insert(shard);
      }
    }
    EXPECT_EQ(seen.size(), 16U);
    EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 16U);
  }
  EXPECT_TRUE(SweepRule(Sweep(0, 0, 0, 1)).ShardsAt(5, 16).empty());
}

SweepRule::Verdict Judge(const SweepRule& rule, int64_t step, int64_t last_step, double square_norm = 1e9,
                         const StepTimes* times = nullptr) {
  return SweepRule::Judge(rule.LimitsAt(step, times), {1, last_step, 1, square_norm});
}

TEST(SweepRule, StepsToLive) {
  const SweepRule rule(Sweep(10, 0, 0, 1));
  EXPECT_EQ(Judge(rule, 15, 6), SweepRule::Verdict::kKeep);
  EXPECT_EQ(Judge(rule, 16, 6), SweepRule::Verdict::kExpired);
  EXPECT_EQ(Judge(rule, 5, 1), SweepRule::Verdict::kKeep);
}

TEST(SweepRule, SecondsToLive) {
  const SweepRule rule(Sweep(0, 10, 0, 1));
  StepTimes times(10);
  for (int64_t step = 1; step <= 20; ++step) times.Add(step, step * 1000);
  EXPECT_EQ(Judge(rule, 20, 10, 1e9, &times), SweepRule::Verdict::kExpired);
  EXPECT_EQ(Judge(rule, 20, 11, 1e9, &times), SweepRule::Verdict::kKeep);
  EXPECT_TRUE(rule.by_seconds());
}

TEST(SweepRule, SmallNormsGoOnceTheyRested) {
  const SweepRule rule(Sweep(0, 0, 2, 100));
  EXPECT_EQ(Judge(rule, 300, 200, 3.99), SweepRule::Verdict::kSmallNorm);
  EXPECT_EQ(Judge(rule, 300, 200, 4), SweepRule::Verdict::kKeep);
  EXPECT_EQ(Judge(rule, 300, 201, 3.99), SweepRule::Verdict::kKeep);
  EXPECT_EQ(Judge(rule, 300, 200, NAN), SweepRule::Verdict::kKeep);
}

TEST(SweepRule, TimeComesBeforeNorm) {
  const SweepRule rule(Sweep(50, 0, 2, 100));
  EXPECT_EQ(Judge(rule, 300, 200, 1), SweepRule::Verdict::kExpired);
}

TEST(SquareNorm, IsTheSumOfSquares) {
  EXPECT_EQ(SquareNorm(std::vector<float>{}), 0);
  EXPECT_EQ(SquareNorm(std::vector<float>{3, -4}), 25);
}

TEST(ShardRowsMax, IsTheLargestNumberThatFits) {
  for (const int64_t memory : {int64_t{1} << 20, int64_t{40} << 20, int64_t{2} << 30, int64_t{300} << 30}) {
    for (const int shards : {1, 16, 1024}) {
      for (const int64_t filter : {int64_t{0}, memory / 4}) {
        const BudgetTerms terms = {memory, filter, 64, 16, shards};
        const int64_t rows = ShardRowsMax(terms);
        const int64_t usable = memory - memory / 32;
        if (rows > 0) {
          EXPECT_LE(WorstTableBytes(terms, rows), usable);
        }
        EXPECT_GT(WorstTableBytes(terms, rows + 1), usable);
        // An index at its worst takes as much as it does after doubling: at least six tenths are rows, save where a
        // huge page or a cache line a shard counts.
        if (memory / shards >= int64_t{40} << 20) {
          EXPECT_GT(rows * shards * 80, (memory - filter) * 6 / 10) << memory;
        }
      }
    }
  }
}

TEST(ShardRowsMax, IsZeroWhereNothingFits) {
  EXPECT_EQ(ShardRowsMax({64 << 10, 0, 64, 16, 1024}), 0);
  EXPECT_GT(ShardRowsMax({64 << 10, 0, 64, 16, 4}), 0);
}

}  // namespace
}  // namespace weir
