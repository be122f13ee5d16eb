// Statistics of columns of every kind against what can be counted by hand or by std::map.
#include "launch/lake_stats/column_statistics.h"

#include <cmath>
#include <map>
#include <random>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/buffer.h>
#include <arrow/json/from_string.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr uint64_t kSeed = 20261125;

std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

ColumnSummary Summarize(const std::shared_ptr<arrow::DataType>& type, const std::string& json, bool text = false) {
  ColumnStatistics statistics(arrow::field("x", type), text);
  const Status status = statistics.Add(FromJson(type, json));
  EXPECT_TRUE(status.ok()) << status.ToString();
  return statistics.Summarize();
}

std::vector<std::pair<std::string, int64_t>> Top(const ColumnSummary& summary) {
  std::vector<std::pair<std::string, int64_t>> top;
  for (const TopValue& value : summary.top) top.emplace_back(value.text, value.count);
  return top;
}

using Tops = std::vector<std::pair<std::string, int64_t>>;

TEST(ColumnStatistics, OfIntegers) {
  const ColumnSummary summary = Summarize(arrow::int32(), "[3, -1, null, 3, 7]");
  EXPECT_EQ(summary.type, "int32");
  EXPECT_EQ(summary.rows, 5);
  EXPECT_EQ(summary.missing, 1);
  EXPECT_NEAR(summary.distinct, 3, 0.1);
  EXPECT_EQ(summary.numbers.count, 4);
  EXPECT_EQ(summary.numbers.min, -1);
  EXPECT_EQ(summary.numbers.max, 7);
  EXPECT_EQ(summary.numbers.mean, 3);
  EXPECT_DOUBLE_EQ(summary.numbers.stddev(), std::sqrt(8.0));
  ASSERT_EQ(summary.quantiles.size(), 1001u);
  EXPECT_EQ(summary.quantiles[0], -1);
  EXPECT_EQ(summary.quantiles[500], 3);
  EXPECT_EQ(summary.quantiles[1000], 7);
  EXPECT_EQ(Top(summary)[0], (std::pair<std::string, int64_t>{"3", 2}));
  EXPECT_EQ(summary.top_error, 0);
  EXPECT_FALSE(summary.is_list);
  ASSERT_EQ(summary.growth.size(), 1u);
  EXPECT_EQ(summary.growth[0].rows, 5);
}

TEST(ColumnStatistics, OfIntegersAtTheEndsOfTheirRange) {
  EXPECT_EQ(Top(Summarize(arrow::uint64(), "[18446744073709551615, 18446744073709551615, 0]")),
            (Tops{{"18446744073709551615", 2}, {"0", 1}}));
  EXPECT_EQ(Top(Summarize(arrow::int64(), "[-9223372036854775808, -9223372036854775808]")),
            (Tops{{"-9223372036854775808", 2}}));
}

TEST(ColumnStatistics, OfFloatsCountsWhatIsNotFiniteApart) {
  const ColumnSummary summary = Summarize(arrow::float64(), "[0.5, NaN, Inf, -Inf, -0.0, 0.0, NaN]");
  EXPECT_EQ(summary.nan, 2);
  EXPECT_EQ(summary.infinite, 2);
  EXPECT_EQ(summary.numbers.count, 3);
  EXPECT_EQ(summary.numbers.max, 0.5);
  EXPECT_NEAR(summary.distinct, 5, 0.1) << "0.5, 0, NaN and two infinities";
}

TEST(ColumnStatistics, OfBooleansTimesAndDictionaries) {
  EXPECT_EQ(Summarize(arrow::boolean(), "[true, false, true]").numbers.mean, 2.0 / 3);
  EXPECT_EQ(Summarize(arrow::date32(), "[1, 5]").numbers.max, 5);
  EXPECT_EQ(Summarize(arrow::timestamp(arrow::TimeUnit::SECOND), "[100, 200]").numbers.mean, 150);
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  const auto column = arrow::json::DictArrayFromJSONString(type, "[1, 0, null, 1]", R"(["tea", "milk"])").ValueOrDie();
  ColumnStatistics statistics(arrow::field("x", type), false);
  ASSERT_TRUE(statistics.Add(column).ok());
  const ColumnSummary summary = statistics.Summarize();
  EXPECT_EQ(summary.missing, 1);
  EXPECT_EQ(Top(summary), (Tops{{"milk", 2}, {"tea", 1}}));
}

TEST(ColumnStatistics, OfStringsHasNoNumbersAndReadableText) {
  const ColumnSummary summary = Summarize(arrow::utf8(), R"(["5", "5", "", null])");
  EXPECT_TRUE(summary.quantiles.empty());
  EXPECT_EQ(Top(summary), (Tops{{"5", 2}, {"", 1}}));
  ColumnStatistics statistics(arrow::field("x", arrow::binary()), false);
  const std::string bytes = "a\xff\xc3\xa4\xe2\x82";
  arrow::BinaryBuilder builder;
  ASSERT_TRUE(builder.Append(bytes).ok());
  ASSERT_TRUE(builder.Append(std::string(1000, 'z')).ok());
  ASSERT_TRUE(builder.Append(std::string(1000, 'z')).ok());
  ASSERT_TRUE(statistics.Add(builder.Finish().ValueOrDie()).ok());
  EXPECT_EQ(Top(statistics.Summarize()), (Tops{{std::string(256, 'z'), 2}, {"a?\xc3\xa4??", 1}}));
}

TEST(ColumnStatistics, OfTextFindsTheType) {
  const ColumnSummary integers = Summarize(arrow::utf8(), R"(["4", "-2", null, "4"])", /*text=*/true);
  EXPECT_EQ(integers.type, "integer");
  EXPECT_EQ(integers.numbers.mean, 2);
  EXPECT_EQ(Top(integers), (Tops{{"4", 2}, {"-2", 1}}));
  EXPECT_EQ(Summarize(arrow::utf8(), R"(["4", "0.5"])", true).type, "number");
  EXPECT_EQ(Summarize(arrow::utf8(), "[null]", true).type, "none");
  const ColumnSummary strings = Summarize(arrow::utf8(), R"(["4", "x", "5"])", true);
  EXPECT_EQ(strings.type, "string");
  EXPECT_TRUE(strings.quantiles.empty()) << "a number among strings is chance";
  EXPECT_EQ(strings.numbers.count, 0);
}

TEST(ColumnStatistics, OfListsIsOfTheElements) {
  const ColumnSummary summary = Summarize(arrow::list(arrow::int64()), "[[1, 2, 3], null, [], [2, null]]");
  EXPECT_TRUE(summary.is_list);
  EXPECT_EQ(summary.rows, 4);
  EXPECT_EQ(summary.missing, 1);
  EXPECT_EQ(summary.lengths.count, 3);
  EXPECT_EQ(summary.lengths.max, 3);
  EXPECT_NEAR(summary.lengths.mean, 5.0 / 3, 1e-12);
  EXPECT_EQ(summary.length_quantiles[0], 0);
  EXPECT_EQ(summary.numbers.count, 4);
  EXPECT_EQ(Top(summary)[0], (std::pair<std::string, int64_t>{"2", 2}));
  const ColumnSummary nested =
      Summarize(arrow::list(arrow::list(arrow::float32())), "[[[1, 2], [3]], [[]], null, [null, [4]]]");
  EXPECT_EQ(nested.lengths.max, 3) << "lists of lists are one bag";
  EXPECT_EQ(nested.numbers.count, 4);
  EXPECT_EQ(nested.numbers.mean, 2.5);
}

TEST(ColumnStatistics, LeavesOutWhatMissingListsHold) {
  // [[1], null (over a 2), [3]]
  const auto elements = FromJson(arrow::int32(), "[1, 2, 3]");
  const auto offsets = FromJson(arrow::int32(), "[0, 1, 2, 3]");
  auto column = std::make_shared<arrow::ListArray>(arrow::list(arrow::int32()), 3,
                                                   static_cast<const arrow::Int32Array&>(*offsets).values(), elements,
                                                   arrow::Buffer::FromString(std::string(1, 0b101)));
  ColumnStatistics statistics(arrow::field("x", column->type()), false);
  ASSERT_TRUE(statistics.Add(column).ok());
  EXPECT_EQ(statistics.Summarize().numbers.mean, 2);
  EXPECT_EQ(statistics.Summarize().numbers.count, 2);
}

TEST(ColumnStatistics, OfOtherTypesKnowsRowsAndMissingOnly) {
  const ColumnSummary summary = Summarize(arrow::struct_({arrow::field("a", arrow::int8())}), R"([{"a": 1}, null])");
  EXPECT_EQ(summary.rows, 2);
  EXPECT_EQ(summary.missing, 1);
  EXPECT_FALSE(summary.has_keys);
}

// Many batches, skewed: against exact counts.
TEST(ColumnStatistics, AgreesWithExactCounts) {
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<double> uniform(0, 1);
  ColumnStatistics statistics(arrow::field("x", arrow::int64()), false);
  std::map<int64_t, int64_t> exact;
  int64_t rows = 0;
  double sum = 0, squares = 0;
  for (int batch = 0; batch < 40; ++batch) {
    arrow::Int64Builder builder;
    for (int i = 0; i < 10'000; ++i) {
      const auto value = static_cast<int64_t>(std::pow(1e6, uniform(random)));
      ASSERT_TRUE(builder.Append(value).ok());
      ++exact[value];
      ++rows;
      sum += static_cast<double>(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    ASSERT_TRUE(statistics.Add(builder.Finish().ValueOrDie()).ok());
  }
  const ColumnSummary summary = statistics.Summarize();
  const double mean = sum / static_cast<double>(rows);
  EXPECT_EQ(summary.rows, rows);
  EXPECT_NEAR(summary.distinct / static_cast<double>(exact.size()), 1, 4 * HyperLogLog::kRelativeError);
  EXPECT_NEAR(summary.numbers.mean / mean, 1, 1e-12);
  EXPECT_NEAR(summary.numbers.stddev() / std::sqrt(squares / static_cast<double>(rows) - mean * mean), 1, 1e-9);
  ASSERT_EQ(summary.top.size(), static_cast<size_t>(ColumnStatistics::kTopValues));
  EXPECT_LE(summary.top_error, rows / 4096);
  for (const TopValue& value : summary.top) {
    const int64_t count = exact[static_cast<int64_t>(value.bits)];
    EXPECT_GE(value.count, count);
    EXPECT_LE(value.count - value.error, count);
  }
  std::vector<int64_t> seen;
  for (const GrowthPoint& point : summary.growth) seen.push_back(point.rows);
  EXPECT_THAT(seen, testing::ElementsAre(10'000, 20'000, 40'000, 70'000, 140'000, 270'000, 400'000));
}

}  // namespace
}  // namespace weir
