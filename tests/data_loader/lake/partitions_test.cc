#include "data_loader/lake/partitions.h"

#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

using Values = std::vector<PartitionValue>;

TEST(Partitions, AreTheFoldersWithAnEqualsSign) {
  EXPECT_EQ(PartitionsOf("/logs/dt=2026-11-01/hour=03/x=1.csv"), (Values{{"dt", "2026-11-01"}, {"hour", "03"}}));
  EXPECT_EQ(PartitionsOf("dt=1/"), (Values{{"dt", "1"}}));
  EXPECT_EQ(PartitionsOf("a=b=c/x"), (Values{{"a", "b=c"}}));
  EXPECT_EQ(PartitionsOf("a=/x"), (Values{{"a", ""}}));
  EXPECT_EQ(PartitionsOf("=a/x"), Values{});
  EXPECT_EQ(PartitionsOf("x=1"), Values{});
  EXPECT_EQ(PartitionsOf("a=__HIVE_DEFAULT_PARTITION__/x"), (Values{{"a", std::nullopt}}));
}

TEST(Partitions, AreDecoded) {
  EXPECT_EQ(PartitionsOf("at%20=10%3A30%2f%C3%bc/x"), (Values{{"at ", "10:30/\xC3\xBC"}}));
  EXPECT_EQ(PartitionsOf("a=100%/x"), (Values{{"a", "100%"}}));
  EXPECT_EQ(PartitionsOf("a=%4/b=%zz%41/x"), (Values{{"a", "%4"}, {"b", "%zzA"}}));
}

TEST(Partitions, TheInnermostCounts) { EXPECT_EQ(PartitionsOf("a=1/b=2/a=3/x"), (Values{{"b", "2"}, {"a", "3"}})); }

TEST(Partitions, FiltersHoldAFolderUntilItsColumnComes) {
  const auto filters = PartitionFilters::Parse(std::vector<std::string>{"a = 1", "b > 1"});
  ASSERT_TRUE(filters.ok());
  EXPECT_TRUE(filters->MayHold({}));
  EXPECT_TRUE(filters->MayHold({{"a", "1"}}));
  EXPECT_FALSE(filters->MayHold({{"a", "2"}}));
  EXPECT_FALSE(filters->MayHold({{"b", std::nullopt}}));
  EXPECT_TRUE(filters->CheckColumns("f", {{"a", "1"}, {"b", "2"}}).ok());
  ExpectError(filters->CheckColumns("a=1/f", {{"a", "1"}}), StatusCode::kInvalidArgument,
              {"a=1/f", "\"b > 1\"", "'b'"});
  ExpectError(filters->CheckColumns("f", {}), StatusCode::kInvalidArgument, {"no folders"});
}

}  // namespace
}  // namespace weir
