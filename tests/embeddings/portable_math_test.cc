#include "embeddings/portable_math.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(PortableMathTest, AgreesWithTheLibrary) {
  for (int i = 1; i < 20'000; ++i) {
    const double x = i * 0.037 - 350;
    EXPECT_NEAR(PortableExp(x) / std::exp(x), 1, 1e-15) << x;
    const double y = std::exp(x);
    EXPECT_NEAR(PortableLog(y), std::log(y), 4e-16 * std::max(1.0, std::fabs(x))) << y;
    const double z = i / 20'000.0;
    EXPECT_NEAR(PortableCosPi(z), std::cos(std::numbers::pi * z), 4e-16) << z;
  }
}

// Bits that every processor must give.
TEST(PortableMathTest, GivesTheseBits) {
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_EQ(PortableLog(1), 0);
  EXPECT_EQ(PortableCosPi(0.5), 0);
  EXPECT_EQ(PortableExp(-1.5), 0x1.c8f87724b5c1dp-3);
  EXPECT_EQ(PortableLog(10), 0x1.26bb1bbb55515p+1);
  EXPECT_EQ(PortableCosPi(0.25), 0x1.6a09e667f3bccp-1);
}

}  // namespace
}  // namespace weir
