#include "proto/nearest_name.h"

#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(EditDistance, CountsEditsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("epochs", "epochs"), 0);
  EXPECT_EQ(EditDistance("epoch", "epochs"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("tarin", "train"), 1);
}

TEST(NearestName, FindsTheClosestAndNothingFarOff) {
  const std::vector<std::string> known = {"train", "eval", "export"};
  EXPECT_EQ(NearestName("tarin", known), "train");
  EXPECT_EQ(NearestName("EVAL", known), "eval");
  EXPECT_EQ(NearestName("exprt", known), "export");
  EXPECT_EQ(NearestName("frobnicate", known), "");
  EXPECT_EQ(SuggestName("tarin", known), " (did you mean \"train\"?)");
  EXPECT_EQ(SuggestName("frobnicate", known), " (known: train, eval, export)");
  EXPECT_EQ(SuggestName("x", std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace weir
