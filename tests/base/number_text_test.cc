#include "base/number_text.h"

#include <cmath>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(NumberText, ReadsNumbers) {
  double value = 0;
  EXPECT_TRUE(ParseNumber("+1.5e3", &value));
  EXPECT_EQ(value, 1500);
  EXPECT_TRUE(ParseNumber("-0.25", &value));
  EXPECT_EQ(value, -0.25);
  EXPECT_TRUE(ParseNumber("nan", &value));
  EXPECT_TRUE(std::isnan(value));
  EXPECT_TRUE(ParseNumber("-inf", &value));
  EXPECT_TRUE(std::isinf(value));
  for (const char* text : {"", "+", "-", "+-5", "++5", "1.5 ", " 1.5", "1,5", "0x10", "5e", "1e999", "five"}) {
    EXPECT_FALSE(ParseNumber(text, &value)) << text;
  }
}

TEST(NumberText, ReadsIntegersOfBothKinds) {
  uint64_t bits = 0;
  EXPECT_TRUE(ParseInteger("18446744073709551615", &bits));
  EXPECT_EQ(bits, ~uint64_t{0});
  EXPECT_TRUE(ParseInteger("-9223372036854775808", &bits));
  EXPECT_EQ(bits, uint64_t{1} << 63);
  EXPECT_TRUE(ParseInteger("+7", &bits));
  EXPECT_EQ(bits, 7u);
  for (const char* text :
       {"", "+", "-", "+-5", "--5", "5 ", " 5", "5.0", "1e3", "0x5", "18446744073709551616", "-9223372036854775809"}) {
    EXPECT_FALSE(ParseInteger(text, &bits)) << text;
  }
}

}  // namespace
}  // namespace weir
