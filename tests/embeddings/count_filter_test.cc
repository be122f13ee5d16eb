#include "embeddings/count_filter.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <unordered_map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/table_set.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

// Counts every push with its generation, without a bound.
class ExactFilter {
 public:
  explicit ExactFilter(int64_t window_steps) : quarter_((window_steps + 3) / 4) {}

  uint32_t Count(int64_t step, uint64_t key) const {
    const auto found = counts_.find(key);
    if (found == counts_.end()) return 0;
    uint32_t sum = 0;
    for (const auto& [generation, count] : found->second) {
      if (generation > Generation(step) - 4 || quarter_ == 0) sum += std::min(count, 255U);
    }
    return sum;
  }
  void Add(int64_t step, uint64_t key, uint32_t pushes) { counts_[key][Generation(step)] += pushes; }

 private:
  int64_t Generation(int64_t step) const { return quarter_ == 0 ? 0 : (step - 1) / quarter_; }

  const int64_t quarter_;
  std::unordered_map<uint64_t, std::map<int64_t, uint32_t>> counts_;
};

std::vector<uint64_t> DistinctKeys(std::mt19937_64& random, size_t n, uint64_t below) {
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < n; ++i) keys.push_back(random() % below);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::shuffle(keys.begin(), keys.end(), random);
  return keys;
}

// Random pushes over many windows: never too low, exact but for few.
TEST(CountFilter, IsHeldToExactCountsThatDecay) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  for (const int64_t window : {0, 4, 10, 64}) {
    std::mt19937_64 random(seed);
    CountFilter filter(64 * 64, window, 16);
    ExactFilter exact(window);
    int64_t asked = 0, too_high = 0;
    for (int64_t step = 1; step <= 300; step += 1 + (random() % 8 == 0 ? random() % 40 : 0)) {
      const std::vector<uint64_t> keys = DistinctKeys(random, 40, 1200);
      std::vector<uint32_t> pushes, before(keys.size()), estimates(keys.size());
      for (size_t i = 0; i < keys.size(); ++i) pushes.push_back(1 + random() % 3);
      filter.Estimate(step, keys, before.data());
      filter.Add(step, keys, pushes.data(), estimates.data());
      EXPECT_EQ(before, estimates) << "step " << step;
      for (size_t i = 0; i < keys.size(); ++i) {
        const uint32_t expected = exact.Count(step, keys[i]);
        ASSERT_GE(estimates[i], expected) << "window " << window << ", step " << step << ", key " << keys[i];
        too_high += estimates[i] > expected;
        ++asked;
        exact.Add(step, keys[i], pushes[i]);
      }
    }
    EXPECT_LT(too_high, asked / 20) << "window " << window;
  }
}

TEST(CountFilter, ForgetsAQuarterAtATime) {
  CountFilter filter(1 << 12, 8, 1);
  const std::vector<uint64_t> keys = {42};
  const uint32_t one = 1;
  uint32_t estimate = 0;
  std::vector<uint32_t> seen;
  for (int64_t step = 1; step <= 12; ++step) {
    filter.Add(step, keys, &one, &estimate);
    seen.push_back(estimate);
  }
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 6, 7}));
  filter.Estimate(14, keys, &estimate);
  EXPECT_EQ(estimate, 6U);
  filter.Estimate(20, keys, &estimate);
  EXPECT_EQ(estimate, 0U);
}

TEST(CountFilter, CountsSaturate) {
  CountFilter filter(1 << 12, 0, 1);
  const std::vector<uint64_t> keys = {7};
  const uint32_t many = 200;
  uint32_t estimate = 0;
  for (int i = 0; i < 5; ++i) filter.Add(1 + i, keys, &many, &estimate);
  EXPECT_EQ(estimate, 255U);
}

// What a step leaves does not depend on the order of its keys, nor on how many keep the other shards.
TEST(CountFilter, OrderAndOwnersDoNotShow) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  constexpr int kShards = 8;
  std::mt19937_64 random(seed);
  CountFilter whole(128, 12, kShards), reversed(128, 12, kShards), half(128, 12, kShards);
  for (int64_t step = 1; step <= 60; ++step) {
    std::vector<uint64_t> keys = DistinctKeys(random, 50, 300);
    std::vector<uint64_t> own;
    for (uint64_t key : keys) {
      if (VirtualShard(key, kShards) < kShards / 2) own.push_back(key);
    }
    const std::vector<uint32_t> pushes(keys.size(), 1);
    std::vector<uint32_t> estimates(keys.size());
    whole.Add(step, keys, pushes.data(), estimates.data());
    half.Add(step, own, pushes.data(), estimates.data());
    std::reverse(keys.begin(), keys.end());
    reversed.Add(step, keys, pushes.data(), estimates.data());
  }
  for (int shard = 0; shard < kShards; ++shard) {
    std::vector<uint8_t> a, b, c;
    whole.SaveShard(shard, &a);
    reversed.SaveShard(shard, &b);
    half.SaveShard(shard, &c);
    EXPECT_EQ(a, b);
    EXPECT_EQ(c, shard < kShards / 2 ? a : std::vector<uint8_t>());
  }
}

TEST(CountFilter, MemoryIsBoundedAndTakenWhenNeeded) {
  CountFilter filter(1000, 0, 64);
  EXPECT_EQ(filter.bytes(), 0);
  const std::vector<uint64_t> one = {5};
  const uint32_t push = 1;
  uint32_t estimate = 0;
  filter.Add(1, one, &push, &estimate);
  EXPECT_EQ(filter.bytes(), 960);  // whole lines
  std::vector<uint64_t> keys;
  for (uint64_t key = 100; key < 20000; ++key) keys.push_back(key);
  const std::vector<uint32_t> pushes(keys.size(), 1);
  std::vector<uint32_t> estimates(keys.size());
  filter.Add(2, keys, pushes.data(), estimates.data());
  EXPECT_EQ(filter.bytes(), 64 * 960);
}

TEST(CountFilter, GoesOnFromWhatWasSaved) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  CountFilter straight(256, 20, 4);
  auto resumed = std::make_unique<CountFilter>(256, 20, 4);
  for (int64_t step = 1; step <= 70; ++step) {
    const std::vector<uint64_t> keys = DistinctKeys(random, 20, 100);
    const std::vector<uint32_t> pushes(keys.size(), 1);
    std::vector<uint32_t> a(keys.size()), b(keys.size());
    straight.Add(step, keys, pushes.data(), a.data());
    resumed->Add(step, keys, pushes.data(), b.data());
    ASSERT_EQ(a, b) << "step " << step;
    auto next = std::make_unique<CountFilter>(256, 20, 4);
    for (int shard = 0; shard < 4; ++shard) {
      std::vector<uint8_t> bytes;
      resumed->SaveShard(shard, &bytes);
      ASSERT_TRUE(next->LoadShard(shard, bytes).ok());
    }
    resumed = std::move(next);
  }
}

TEST(CountFilter, RefusesForeignBytes) {
  CountFilter filter(256, 20, 4);
  const std::vector<uint64_t> keys = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<uint32_t> pushes(keys.size(), 1);
  std::vector<uint32_t> estimates(keys.size());
  filter.Add(9, keys, pushes.data(), estimates.data());
  std::vector<uint8_t> bytes;
  const int shard = VirtualShard(1, 4);
  filter.SaveShard(shard, &bytes);
  ASSERT_EQ(bytes.size(), 24U + 256U);
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_EQ(filter.LoadShard(shard, std::span(bytes).first(size)).code(), StatusCode::kDataLoss) << size;
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  EXPECT_EQ(filter.LoadShard(shard, longer).code(), StatusCode::kDataLoss);
  std::vector<uint8_t> negative = bytes;
  negative[7] = 0x80;
  EXPECT_EQ(filter.LoadShard(shard, negative).code(), StatusCode::kDataLoss);
  negative[7] = 0x7f;
  EXPECT_EQ(filter.LoadShard(shard, negative).code(), StatusCode::kDataLoss);

  CountFilter other_window(256, 24, 4), other_size(320, 20, 4);
  const Status window = other_window.LoadShard(shard, bytes);
  EXPECT_EQ(window.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(window.message(), HasSubstr("expected 4 lines and quarters of 6 steps, found 4 and 5"));
  EXPECT_EQ(other_size.LoadShard(shard, bytes).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace weir
