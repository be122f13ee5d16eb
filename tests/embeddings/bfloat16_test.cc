#include "embeddings/bfloat16.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr uint32_t kFirstNaN = 0x7f800001;

TEST(Bfloat16Test, EveryValueIsReadAndWrittenExactly) {
  for (uint32_t value = 0; value < 0x10000; ++value) {
    const float f = Bfloat16ToFloat(static_cast<uint16_t>(value));
    for (uint32_t random : {0u, 1u, 0x7fffu, 0x8000u, 0xffffu}) {
      const uint16_t rounded = RoundToBfloat16(f, static_cast<uint16_t>(random));
      if (std::isnan(f)) {
        ASSERT_TRUE(std::isnan(Bfloat16ToFloat(rounded))) << value;
      } else {
        ASSERT_EQ(rounded, value) << random;
      }
    }
    if (!std::isnan(f)) {
      ASSERT_EQ(NearestBfloat16(f), value);
    }
  }
}

TEST(Bfloat16Test, RoundsUpInAsManyCasesAsTheLowerHalfSays) {
  for (uint32_t lower : {0u, 1u, 0x1234u, 0x8000u, 0xffffu}) {
    for (uint32_t upper : {0x3f800000u, 0xbf800000u, 0x00000000u, 0x42c80000u}) {
      uint32_t ups = 0;
      for (uint32_t random = 0; random < 0x10000; ++random) {
        const uint16_t rounded = RoundToBfloat16(std::bit_cast<float>(upper | lower), static_cast<uint16_t>(random));
        ASSERT_TRUE(rounded == upper >> 16 || rounded == (upper >> 16) + 1);
        ups += rounded != upper >> 16;
      }
      ASSERT_EQ(ups, lower);
    }
  }
}

TEST(Bfloat16Test, NothingFiniteBecomesInfiniteAndNoNaNDoes) {
  const float largest = std::numeric_limits<float>::max(), infinity = std::numeric_limits<float>::infinity();
  for (float sign : {1.0f, -1.0f}) {
    for (uint32_t random : {0u, 0xffffu}) {
      const auto draw = static_cast<uint16_t>(random);
      EXPECT_EQ(Bfloat16ToFloat(RoundToBfloat16(sign * largest, draw)), sign * 0x1.fep127f);
      EXPECT_EQ(Bfloat16ToFloat(RoundToBfloat16(sign * infinity, draw)), sign * infinity);
      for (uint32_t bits : {kFirstNaN, 0x7fffffffu, 0x7fc00000u, 0x7f80ffffu}) {
        const float nan = std::bit_cast<float>(bits | (sign < 0 ? 0x80000000 : 0));
        EXPECT_TRUE(std::isnan(Bfloat16ToFloat(RoundToBfloat16(nan, draw)))) << bits;
        EXPECT_TRUE(std::isnan(Bfloat16ToFloat(NearestBfloat16(nan)))) << bits;
      }
    }
    EXPECT_EQ(Bfloat16ToFloat(NearestBfloat16(sign * largest)), sign * 0x1.fep127f);
  }
}

// By search among the two neighbours, in float64.
uint16_t NearestOracle(float value) {
  const uint32_t below = std::bit_cast<uint32_t>(value) >> 16;
  const double low = Bfloat16ToFloat(static_cast<uint16_t>(below));
  const double high = Bfloat16ToFloat(static_cast<uint16_t>(below + 1));
  const double to_low = std::fabs(value - low), to_high = std::fabs(high - value);
  if (to_low == to_high) return static_cast<uint16_t>(below % 2 == 0 ? below : below + 1);
  return static_cast<uint16_t>(to_low < to_high ? below : below + 1);
}

TEST(Bfloat16Test, NearestAgreesWithASearch) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200'000; ++i) {
    const auto bits = static_cast<uint32_t>(i % 4 == 0 ? random() & 0xffff8000 : random());
    const float value = std::bit_cast<float>(bits);
    if (!(std::fabs(value) < 0x1.fep127f)) continue;
    ASSERT_EQ(NearestBfloat16(value), NearestOracle(value)) << bits;
  }
}

TEST(Bfloat16Test, ArraysAreTheirElements) {
  const std::vector<float> values = {1.00390625f, -2.5f, 3.14159f, 0, -0.0f, 1e-40f, 7};
  std::vector<uint16_t> stored(values.size());
  StoreBfloat16(values.data(), static_cast<int>(values.size()), stored.data());
  std::vector<float> loaded(values.size());
  LoadBfloat16(stored.data(), static_cast<int>(values.size()), loaded.data());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(stored[i], NearestBfloat16(values[i]));
    EXPECT_EQ(std::bit_cast<uint32_t>(loaded[i]), uint32_t{stored[i]} << 16);
  }
}

}  // namespace
}  // namespace weir
