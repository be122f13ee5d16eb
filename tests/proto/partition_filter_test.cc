#include "proto/partition_filter.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

bool Matches(const std::string& filter, const std::optional<std::string>& value) {
  const auto parsed = ParsePartitionFilter(filter);
  EXPECT_TRUE(parsed.ok()) << parsed.status().ToString();
  return parsed.ok() && parsed->Matches(value);
}

TEST(PartitionFilter, EachOperatorComparesAsItSays) {
  for (const auto& [op, less, equal, greater] :
       std::vector<std::tuple<std::string, bool, bool, bool>>{{"=", false, true, false},
                                                              {"!=", true, false, true},
                                                              {"<", true, false, false},
                                                              {"<=", true, true, false},
                                                              {">", false, false, true},
                                                              {">=", false, true, true}}) {
    for (const std::string space : {"", " "}) {
      const std::string filter = "dt" + space + op + space + "2026-11-01";
      EXPECT_EQ(Matches(filter, "2026-10-31"), less) << filter;
      EXPECT_EQ(Matches(filter, "2026-11-01"), equal) << filter;
      EXPECT_EQ(Matches(filter, "2026-11-02"), greater) << filter;
    }
  }
}

TEST(PartitionFilter, NumbersAreComparedAsNumbersAndTextAsText) {
  EXPECT_TRUE(Matches("hour < 10", "9"));
  EXPECT_TRUE(Matches("hour = 3", "03"));
  EXPECT_TRUE(Matches("x >= -1.5", "-1.25"));
  EXPECT_TRUE(Matches("x = 1e3", "1000"));
  EXPECT_TRUE(Matches("x < 5", "+4"));
  // 2^53 and the next integer are one double.
  EXPECT_FALSE(Matches("id = 9007199254740992", "9007199254740993"));
  // One of the two is no number.
  EXPECT_FALSE(Matches("hour < 10", "9h"));
  EXPECT_TRUE(Matches("name > 10", "nan"));
  EXPECT_TRUE(Matches("name = nan", "nan"));
}

TEST(PartitionFilter, ListsHoldAnyOfTheirValues) {
  for (const std::string filter : {"country in DE, FR", "country in (DE,FR)", "country in DE FR", "country in(DE FR)",
                                   "country in 'DE' , \"FR\""}) {
    EXPECT_TRUE(Matches(filter, "DE")) << filter;
    EXPECT_TRUE(Matches(filter, "FR")) << filter;
    EXPECT_FALSE(Matches(filter, "D")) << filter;
  }
  EXPECT_TRUE(Matches("hour in 1, 2", "02"));
  EXPECT_TRUE(Matches("city in 'New York', Bonn", "New York"));
}

TEST(PartitionFilter, ValuesMayHaveSpacesAndQuotes) {
  EXPECT_TRUE(Matches("city = New York", "New York"));
  EXPECT_TRUE(Matches("city = '= odd '", "= odd "));
  EXPECT_TRUE(Matches("city = \"\"", ""));
  EXPECT_TRUE(Matches("index != 5", "6"));
}

TEST(PartitionFilter, NullPassesNoFilter) {
  for (const std::string filter : {"dt = 1", "dt != 1", "dt < 1", "dt <= 1", "dt > 1", "dt >= 1", "dt in 1"}) {
    EXPECT_FALSE(Matches(filter, std::nullopt)) << filter;
  }
}

TEST(PartitionFilter, SaysWhatCannotBeRead) {
  for (const auto& [filter, why] :
       std::vector<std::pair<std::string, std::string>>{{"", "column is missing"},
                                                        {">= 5", "column is missing"},
                                                        {"dt", "no operator"},
                                                        {"dt 5", "no operator"},
                                                        {"dt like 5", "no operator"},
                                                        {"dt inside 5", "no operator"},
                                                        {"dt >=", "value is missing"},
                                                        {"dt == 5", "no such operator"},
                                                        {"dt <> 5", "no such operator"},
                                                        {"dt = '5", "quote is not closed"},
                                                        {"dt = '5' 6", "follows the closed quote"},
                                                        {"dt in", "no operator"},
                                                        {"dt in ", "no operator"},
                                                        {"dt in ()", "value is missing"},
                                                        {"dt in (5", "bracket is not closed"},
                                                        {"dt in 5,", "value is missing"},
                                                        {"dt in ,5", "value is missing"},
                                                        {"dt in 5,,6", "value is missing"}}) {
    const auto parsed = ParsePartitionFilter(filter);
    ASSERT_FALSE(parsed.ok()) << filter;
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(why), std::string::npos) << filter << ": " << parsed.status().message();
    EXPECT_NE(parsed.status().message().find("\"" + filter + "\""), std::string::npos) << parsed.status().message();
  }
}

}  // namespace
}  // namespace weir
