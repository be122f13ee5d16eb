#include "data_loader/columns/key.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"

namespace weir {
namespace {

// checkpoint/ cannot include data_loader/, so the version that manifests carry is held to the rule here.
static_assert(kHashRuleVersion == kKeyRuleVersion, "manifests must carry the version of the key rule");

// Made with the reference implementation of XXH3 through another language: xxh3_64(pack("<q", value), seed =
// xxh3_64(space)). They are frozen: a change of any of them is another rule and needs another kKeyRuleVersion.
struct IntegerVector {
  const char* space;
  int64_t value;
  uint64_t key;
};
constexpr IntegerVector kIntegers[] = {
    {"", 0, 0xf0a390d5a40e58df},
    {"", 1, 0x34f08d873e5ce238},
    {"", -1, 0x36f62bb75f73b071},
    {"user", 0, 0xe0d26d4d1ab87af},
    {"user", 5, 0xb5cb0d4823aed432},
    {"user", -5, 0xd9746ffaf6e8dce8},
    {"user", INT64_MAX, 0xb15bdda9bf4c1e06},
    {"user", INT64_MIN, 0xe4c9fea48e0ac2e0},
    {"C1", 0, 0x96f9c0054851ee2a},
    {"C1", 1, 0x2037dd438e003cd5},
    {"C1", -1, 0x8733bfaf5cdd3cd2},
    {"C1", INT64_MIN, 0x59b1f3d31f4556a3},
};

struct StringVector {
  const char* space;
  std::string value;
  uint64_t key;
};
const StringVector kStrings[] = {
    {"", "", 0x412f1275e10017f3},
    {"", "5", 0xfbf1484d45aa93e2},
    {"", "State-gov", 0xb4e8529e960efa86},
    {"user", "", 0x79f88c3f9352a113},
    {"user", "5", 0x997afba4b5287e6},
    {"user", "United-States", 0xc3416c77136f8e7},
    {"user", std::string(20, 'x'), 0x9c7cdc02f5211d58},
    {"user", std::string(200, 'y'), 0x999f260fd8753667},
    {"user", std::string(300, 'z'), 0x605df89224712bca},
    {"C1", "a", 0x58f3177e5b78b099},
    {"C1", "\xc3\xa9t\xc3\xa9", 0x74f630dfc9fe0cfc},
};

TEST(KeyRule, IntegersMatchTheVectors) {
  for (const IntegerVector& vector : kIntegers) {
    EXPECT_EQ(KeyRule(vector.space, 0, false).OfInteger(static_cast<uint64_t>(vector.value)), vector.key)
        << vector.space << " " << vector.value;
  }
}

TEST(KeyRule, StringsMatchTheVectors) {
  for (const StringVector& vector : kStrings) {
    EXPECT_EQ(KeyRule(vector.space, 0, false).OfString(vector.value), vector.key)
        << vector.space << " " << vector.value;
  }
}

TEST(KeyRule, BucketsFoldByRemainder) {
  EXPECT_EQ(KeyRule("user", 1000, false).OfInteger(5), 0xb5cb0d4823aed432 % 1000);
  EXPECT_EQ(KeyRule("user", 1, false).OfString("5"), 0u);
}

TEST(KeyRule, IdentityTakesTheIntegerAsItIs) {
  EXPECT_EQ(KeyRule("user", 0, true).OfInteger(0), 0u);
  EXPECT_EQ(KeyRule("user", 0, true).OfInteger(~uint64_t{0}), ~uint64_t{0});
  EXPECT_EQ(KeyRule("user", 10, true).OfInteger(123), 3u);
}

TEST(KeyRule, ManyIntegersGetTheKeysOfEach) {
  std::mt19937_64 random(1);
  for (int space = 0; space < 40; ++space) {
    const KeyRule rule(std::to_string(space), space % 3 == 0 ? 1 + random() % 1000 : 0, space % 4 == 0);
    std::vector<uint64_t> bits(random() % 70), expected;
    for (uint64_t& value : bits) value = random() >> random() % 64;
    for (const uint64_t value : bits) expected.push_back(rule.OfInteger(value));
    for (const Isa isa : KnownIsas()) {
      std::vector<uint64_t> keys(bits.size()), in_place = bits;
      rule.OfIntegers(bits.data(), bits.size(), keys.data(), isa);
      EXPECT_EQ(keys, expected) << IsaName(isa);
      rule.OfIntegers(in_place.data(), in_place.size(), in_place.data(), isa);
      EXPECT_EQ(in_place, expected) << IsaName(isa);
    }
  }
}

TEST(KeyRule, TheDeclaredTypeCounts) {
  KeyRule rule("user", 0, false);
  EXPECT_NE(rule.OfInteger(5), rule.OfString("5"));
}

}  // namespace
}  // namespace weir
