#include "data_loader/columns/text_type.h"

#include <initializer_list>

#include <gtest/gtest.h>

namespace weir {
namespace {

TextType::Kind KindOf(std::initializer_list<const char*> values) {
  TextType type;
  for (const char* value : values) type.See(value);
  return type.kind();
}

TEST(TextType, IsTheNarrowestThatHoldsAllValues) {
  using Kind = TextType::Kind;
  EXPECT_EQ(KindOf({}), Kind::kNothing);
  EXPECT_EQ(KindOf({"0", "-5", "9223372036854775807"}), Kind::kInteger);
  EXPECT_EQ(KindOf({"0", "18446744073709551615"}), Kind::kUnsigned);
  EXPECT_EQ(KindOf({"-1", "18446744073709551615"}), Kind::kString) << "no integer of 64 bits holds both";
  EXPECT_EQ(KindOf({"1", "0.5", "-0.25", "nan", "1e3"}), Kind::kNumber);
  EXPECT_EQ(KindOf({"18446744073709551616"}), Kind::kNumber);
  EXPECT_EQ(KindOf({"1", "0.5", "x", "2"}), Kind::kString);
  for (const char* padded : {"007", "+7", "-0", "-01", "00"}) EXPECT_EQ(KindOf({"1", padded}), Kind::kString) << padded;
  EXPECT_STREQ(TextTypeName(Kind::kUnsigned), "integer");
}

}  // namespace
}  // namespace weir
