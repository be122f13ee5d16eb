#include "base/random.h"

#include <bit>
#include <set>

#include <gtest/gtest.h>

namespace weir {
namespace {

// The first outputs of SplitMix64 seeded with 0 and with 1234567, as published with it.
TEST(RandomTest, SplitMix64KnownValues) {
  EXPECT_EQ(SplitMix64(0), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(SplitMix64(0x9e3779b97f4a7c15ULL), 0x6e789e6aa1b965f4ULL);
  EXPECT_EQ(SplitMix64(1234567), 6457827717110365317ULL);
}

TEST(RandomTest, Fmix64KnownValues) {
  EXPECT_EQ(Fmix64(0), 0u);
  EXPECT_EQ(Fmix64(1), 0xb456bcfc34c2cb2cULL);
  EXPECT_EQ(Fmix64(~uint64_t{0}), 0x64b5720b4b825f21ULL);
}

TEST(RandomTest, Fmix64SpreadsEveryBit) {
  for (int bit = 0; bit < 64; ++bit) {
    int changed = 0;
    for (uint64_t x = 1; x <= 200; ++x) changed += std::popcount(Fmix64(x * 77777) ^ Fmix64(x * 77777 ^ 1ULL << bit));
    EXPECT_NEAR(changed / 200.0, 32, 1.5) << "input bit " << bit;
  }
}

TEST(RandomTest, DrawsDependOnEachArgument) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {0, 1}) {
    for (auto purpose : {RandomPurpose::kRowInit, RandomPurpose::kDropout}) {
      for (uint64_t a = 0; a < 10; ++a) {
        for (uint64_t b = 0; b < 10; ++b) seen.insert(RandomBits(seed, purpose, a, b));
      }
    }
  }
  EXPECT_EQ(seen.size(), 400u);
  EXPECT_EQ(RandomBits(1, RandomPurpose::kDropout, 2), RandomBits(1, RandomPurpose::kDropout, 2, 0));
}

// What runs repeat by: a change breaks every resume.
TEST(RandomTest, GoldenDraws) {
  EXPECT_EQ(RandomBits(1, RandomPurpose::kRowInit, 2, 3), 0x3dadc59c3e07fe2aULL);
  EXPECT_EQ(RandomBits(1, RandomPurpose::kRowOrder, 2, 3), 0x74d5d9114b95b8f9ULL);
}

TEST(RandomTest, FloatsAreInTheUnitInterval) {
  EXPECT_EQ(UnitFloat(0), 0);
  EXPECT_EQ(UnitFloat(~uint64_t{0}), 1 - 0x1p-24f);
  EXPECT_EQ(UnitDouble(0), 0);
  EXPECT_EQ(UnitDouble(~uint64_t{0}), 1 - 0x1p-53);
  double sum = 0;
  for (uint64_t i = 0; i < 100000; ++i) sum += UnitFloat(RandomBits(5, RandomPurpose::kSampling, i));
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(RandomTest, IndexStaysBelowItsBound) {
  EXPECT_EQ(BoundedIndex(~uint64_t{0}, 1), 0u);
  EXPECT_EQ(BoundedIndex(~uint64_t{0}, 10), 9u);
  EXPECT_EQ(BoundedIndex(0, 10), 0u);
  int counts[7] = {};
  for (uint64_t i = 0; i < 70000; ++i) ++counts[BoundedIndex(RandomBits(5, RandomPurpose::kSampling, i), 7)];
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);
}

}  // namespace
}  // namespace weir
