// Grids, distributions, JSON, pages and charts: what the commands show things with.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/report/distribution.h"
#include "launch/report/html_page.h"
#include "launch/report/json_writer.h"
#include "launch/report/progress_line.h"
#include "launch/report/svg_chart.h"
#include "launch/report/text_grid.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TextGrid, AlignsNamesLeftAndNumbersRight) {
  TextGrid grid({{"table", TextGrid::Align::kLeft}, {"rows"}, {"shape", TextGrid::Align::kLeft}});
  grid.AddRow({"a", "1,234", "▁█"});
  grid.AddRow({"country", "5", "x"});
  EXPECT_EQ(grid.ToText(),
            "table     rows  shape\n"
            "a        1,234  ▁█\n"
            "country      5  x\n");
}

TEST(Texts, OfNumbers) {
  EXPECT_EQ(GroupedDigits(0), "0");
  EXPECT_EQ(GroupedDigits(999), "999");
  EXPECT_EQ(GroupedDigits(1234567), "1,234,567");
  EXPECT_EQ(GroupedDigits(-123456), "-123,456");
  EXPECT_EQ(BytesText(812), "812 B");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(BytesText(3.5 * (1 << 30)), "3.5 GiB");
  EXPECT_EQ(ShareText(1, 3), "33.3 %");
  EXPECT_EQ(ShareText(0, 0), "-");
  EXPECT_EQ(NumberText(1000), "1,000");
  EXPECT_EQ(NumberText(0.123456), "0.1235");
  EXPECT_EQ(Sparkline({0, 1, 8}), " ▁█");
  EXPECT_EQ(Sparkline({0, 0}), "  ");
}

TEST(ProgressText, SaysHowFarAndHowFast) {
  EXPECT_EQ(ProgressText(1'500, 0.25, 3), "1,500 rows, 25.0 %, 500 rows/s, about 9 s left");
  EXPECT_EQ(ProgressText(0, 0, 0), "0 rows, 0.0 %");
  EXPECT_EQ(ProgressText(10, 1.01, 1), "10 rows, 100.0 %, 10 rows/s");
}

TEST(Distribution, IsExactForSmallWholeNumbers) {
  Distribution values;
  for (int value = 100; value >= 0; --value) values.Add(value);  // 0 .. 100
  EXPECT_EQ(values.count(), 101);
  EXPECT_EQ(values.zeros(), 1);
  EXPECT_EQ(values.min(), 0);
  EXPECT_EQ(values.max(), 100);
  EXPECT_EQ(values.mean(), 50);
  EXPECT_EQ(values.Quantile(0.5), 50);   // the 51st
  EXPECT_EQ(values.Quantile(0.1), 10);   // the 11th
  EXPECT_EQ(values.Quantile(0.99), 99);  // the 100th
  EXPECT_EQ(values.Quantile(1), 100);
}

TEST(Distribution, BinsByPowersOfTwoWithoutAGap) {
  Distribution values;
  for (const double value : {0.0, 1.0, 1.5, 8.0}) values.Add(value);
  const std::vector<Distribution::Bin> bins = values.PowersOfTwo();
  ASSERT_EQ(bins.size(), 5u);
  const double expected[5][3] = {{0, 0, 1}, {1, 2, 2}, {2, 4, 0}, {4, 8, 0}, {8, 16, 1}};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(bins[i].lower, expected[i][0]) << i;
    EXPECT_EQ(bins[i].upper, expected[i][1]) << i;
    EXPECT_EQ(bins[i].count, expected[i][2]) << i;
  }
}

TEST(Distribution, StaysWithinItsBoundOfSortedValues) {
  constexpr uint64_t kSeed = 17;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> draw(0, 4);
  std::vector<double> sorted;
  Distribution values;
  for (int i = 0; i < 20'000; ++i) {
    sorted.push_back(draw(random));
    values.Add(sorted.back());
  }
  std::sort(sorted.begin(), sorted.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.999, 1.0}) {
    const double truth = sorted[static_cast<size_t>(std::ceil(share * 20'000)) - 1];
    EXPECT_LE(values.Quantile(share), truth) << share;
    EXPECT_GE(values.Quantile(share), truth * (1 - 1.0 / 128)) << share;
  }
}

TEST(Distribution, WithoutValuesIsZero) {
  const Distribution values;
  EXPECT_EQ(values.Quantile(0.5), 0);
  EXPECT_EQ(values.min(), 0);
  EXPECT_EQ(values.mean(), 0);
  EXPECT_TRUE(values.PowersOfTwo().empty());
}

TEST(JsonWriter, Nests) {
  JsonWriter json;
  json.BeginObject();
  json.Text("a\"b", "c\n");
  json.Name("list");
  json.BeginArray();
  json.Integer(1);
  json.BeginObject();
  json.EndObject();
  json.Number(0.5);
  json.EndArray();
  json.Number("none", std::numeric_limits<double>::quiet_NaN());
  json.EndObject();
  EXPECT_EQ(json.text(), R"({"a\"b": "c\u000a", "list": [1, {}, 0.5], "none": null})");
}

TEST(HtmlPage, EscapesAllText) {
  HtmlPage page("a<b");
  TextGrid grid({{"\"x\""}});
  grid.AddRow({"<script>&"});
  page.Grid(grid);
  page.Figure(BarChart({{"<1", "1 & 2", 3}}), "caption <");
  const std::string text = page.Finish();
  EXPECT_THAT(text, HasSubstr("<h1>a&lt;b</h1>"));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;&amp;"));
  EXPECT_THAT(text, HasSubstr("1 &amp; 2"));
  EXPECT_THAT(text, Not(HasSubstr("<script")));
}

TEST(Charts, StandInsideTheirPicture) {
  const Axes axes = {.x_title = "memory", .y_title = "hits", .log_x = true, .bytes_x = true, .share_y = true};
  const std::string points = PointChart({{"a", {1 << 20}, {0.5}}, {"none", {0}, {0.5}}, {"b", {1 << 22}, {1}}}, axes);
  EXPECT_THAT(points, HasSubstr(">1.0 MiB<"));
  EXPECT_THAT(points, HasSubstr(">a<"));
  EXPECT_THAT(points, Not(HasSubstr(">none<")));  // 0 has no logarithm
  EXPECT_THAT(points, Not(HasSubstr("nan")));
  EXPECT_THAT(points, Not(HasSubstr("inf")));
  const std::string lines = LineChart({{"flat", {0, 10}, {0, 0}}, {"empty", {}, {}}}, {"step", "rows"});
  EXPECT_THAT(lines, HasSubstr("points=\"56.0,252.0 544.0,252.0 \""));
  EXPECT_THAT(lines, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace weir
