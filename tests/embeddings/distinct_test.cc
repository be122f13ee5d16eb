#include "embeddings/distinct.h"

#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

TEST(DistinctTest, NumbersKeysAsFirstSeen) {
  DistinctKeys distinct;
  std::vector<int32_t> numbers(6);
  distinct.Add(std::vector<uint64_t>{9, 0, 9, ~uint64_t{0}, 0, 4}, numbers.data());
  EXPECT_EQ(numbers, (std::vector<int32_t>{0, 1, 0, 2, 1, 3}));
  EXPECT_EQ(std::vector<uint64_t>(distinct.keys().begin(), distinct.keys().end()),
            (std::vector<uint64_t>{9, 0, ~uint64_t{0}, 4}));
}

TEST(DistinctTest, ClearForgets) {
  DistinctKeys distinct;
  int32_t number = -1;
  distinct.Add(std::vector<uint64_t>{5, 6}, std::vector<int32_t>(2).data());
  distinct.Clear();
  EXPECT_EQ(distinct.size(), 0);
  distinct.Add(std::vector<uint64_t>{6}, &number);
  EXPECT_EQ(number, 0);
}

TEST(DistinctTest, AgreesWithUnorderedMap) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  DistinctKeys distinct;
  for (int round = 0; round < 200; ++round) {
    distinct.Clear(static_cast<int64_t>(random() % 3 * (random() % 5000)));
    std::unordered_map<uint64_t, int32_t> oracle;
    const uint64_t range = uint64_t{1} << random() % 20;
    const uint64_t stride = uint64_t{1} << random() % 44;
    for (int call = 0; call < 3; ++call) {
      std::vector<uint64_t> keys(random() % 2000);
      for (uint64_t& key : keys) key = random() % range * stride;
      std::vector<int32_t> numbers(keys.size());
      distinct.Add(keys, numbers.data());
      for (size_t i = 0; i < keys.size(); ++i) {
        const auto entry = oracle.try_emplace(keys[i], static_cast<int32_t>(oracle.size())).first;
        ASSERT_EQ(numbers[i], entry->second);
        ASSERT_EQ(distinct.keys()[numbers[i]], keys[i]);
      }
    }
    ASSERT_EQ(distinct.size(), oracle.size());
  }
}

// Many chunks in one call, growing on the way.
TEST(DistinctTest, GrowsWithinACall) {
  DistinctKeys distinct;
  for (const uint64_t stride : {uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 52}) {
    std::vector<uint64_t> keys;
    for (uint64_t i = 0; i < 20'000; ++i) keys.push_back(i / 2 * stride);
    std::vector<int32_t> numbers(keys.size());
    distinct.Clear();
    distinct.Add(keys, numbers.data());
    std::unordered_map<uint64_t, int32_t> oracle;
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(numbers[i], oracle.try_emplace(keys[i], static_cast<int32_t>(oracle.size())).first->second);
    }
    ASSERT_EQ(distinct.size(), static_cast<int64_t>(oracle.size()));
    for (const auto& [key, number] : oracle) ASSERT_EQ(distinct.keys()[number], key);
  }
}

}  // namespace
}  // namespace weir
