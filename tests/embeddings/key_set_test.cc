#include "embeddings/key_set.h"

#include <random>
#include <unordered_set>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

TEST(KeySet, HoldsWhatItWasGiven) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (const size_t size : {0, 1, 2, 7, 1000, 40000}) {
    std::vector<uint64_t> keys;
    for (size_t i = 0; i < size; ++i) keys.push_back(random() % (3 * size));
    const KeySet set(keys);
    const std::unordered_set<uint64_t> expected(keys.begin(), keys.end());
    EXPECT_EQ(set.size(), static_cast<int64_t>(expected.size()));
    for (uint64_t key = 0; key < 3 * size + 3; ++key) ASSERT_EQ(set.Contains(key), expected.count(key) == 1) << key;
  }
}

TEST(KeySet, TakesTheKeysAtTheEnds) {
  const KeySet with(std::vector<uint64_t>{0, ~uint64_t{0}});
  EXPECT_TRUE(with.Contains(0));
  EXPECT_TRUE(with.Contains(~uint64_t{0}));
  EXPECT_FALSE(with.Contains(1));
  const KeySet without(std::vector<uint64_t>{1});
  EXPECT_FALSE(without.Contains(0));
  EXPECT_FALSE(without.Contains(~uint64_t{0}));
}

TEST(KeySet, DigestIsOfTheSet) {
  const KeySet a(std::vector<uint64_t>{1, 2, 3});
  EXPECT_EQ(a.digest(), KeySet(std::vector<uint64_t>{3, 1, 2, 2}).digest());
  EXPECT_NE(a.digest(), KeySet(std::vector<uint64_t>{1, 2}).digest());
  EXPECT_NE(a.digest(), KeySet(std::vector<uint64_t>{1, 2, 3, 0}).digest());
}

}  // namespace
}  // namespace weir
