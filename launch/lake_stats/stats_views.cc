#include "launch/lake_stats/stats_views.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "launch/report/json_writer.h"
#include "launch/report/svg_chart.h"
#include "launch/report/text_grid.h"

namespace weir {
namespace {

constexpr int kFormatVersion = 1;
constexpr size_t kTopShown = 5;
constexpr size_t kTopTextBytes = 24;

struct NamedGrid {
  std::string title;
  std::string explanation;
  TextGrid grid;
};

std::string Summary(const LakeSummary& lake) {
  std::string text = fmt::format("{} rows in {} {}", GroupedDigits(lake.rows), GroupedDigits(lake.files),
                                 lake.files == 1 ? "file" : "files");
  if (lake.rows_read < lake.rows) text += fmt::format(", {} of them read", GroupedDigits(lake.rows_read));
  return text;
}

bool HasNumbers(const ColumnSummary& column) { return !column.quantiles.empty(); }

std::string Rounded(double count) { return GroupedDigits(static_cast<int64_t>(std::llround(count))); }

// "tea (12.5 %)", its text cut between letters.
std::string TopText(const TopValue& value, int64_t total) {
  std::string text = value.text;
  if (text.size() > kTopTextBytes) {
    size_t end = kTopTextBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end) + "…";
  }
  return fmt::format("{} ({})", text, ShareText(static_cast<double>(value.count), static_cast<double>(total)));
}

// Values that the top ones are shares of: of a list column its elements.
int64_t Values(const ColumnSummary& column) {
  if (!column.is_list) return column.rows - column.missing;
  return static_cast<int64_t>(std::llround(column.lengths.mean * static_cast<double>(column.lengths.count)));
}

NamedGrid ColumnGrid(const LakeSummary& lake) {
  using Align = TextGrid::Align;
  TextGrid grid(
      {{"column", Align::kLeft}, {"type", Align::kLeft}, {"missing"}, {"distinct"}, {"most frequent", Align::kLeft}});
  for (const ColumnSummary& column : lake.columns) {
    std::string top;
    for (size_t i = 0; i < std::min(kTopShown, column.top.size()); ++i) {
      top += (i > 0 ? ", " : "") + TopText(column.top[i], Values(column));
    }
    grid.AddRow({column.name, column.type,
                 ShareText(static_cast<double>(column.missing), static_cast<double>(column.rows)),
                 column.has_keys ? Rounded(column.distinct) : "-", top});
  }
  return {"Columns",
          fmt::format("Distinct values are estimated, with a standard error of {:.1f} %; frequent ones are counted, at "
                      "most {:.2f} % of the values too often.",
                      100 * HyperLogLog::kRelativeError, 100.0 / ColumnStatistics::kCounters),
          std::move(grid)};
}

void AddNumberRow(const std::string& name, const Moments& moments, const std::vector<double>& quantiles,
                  TextGrid* grid) {
  const auto at = [&](double share) {
    return NumberText(quantiles[static_cast<size_t>(std::llround(share * static_cast<double>(quantiles.size() - 1)))]);
  };
  grid->AddRow({name, NumberText(moments.min), at(0.01), at(0.25), at(0.5), at(0.75), at(0.99), NumberText(moments.max),
                NumberText(moments.mean), NumberText(moments.stddev())});
}

TextGrid EmptyNumberGrid() {
  return TextGrid({{"column", TextGrid::Align::kLeft},
                   {"min"},
                   {"1 %"},
                   {"25 %"},
                   {"50 %"},
                   {"75 %"},
                   {"99 %"},
                   {"max"},
                   {"mean"},
                   {"stddev"}});
}

// All columns grow at the same rows.
std::optional<NamedGrid> GrowthGrid(const LakeSummary& lake) {
  constexpr size_t kPointsShown = 4;
  std::optional<TextGrid> grid;
  for (const ColumnSummary& column : lake.columns) {
    if (column.growth.size() < 2) continue;
    const size_t first = column.growth.size() - std::min(kPointsShown, column.growth.size());
    if (!grid.has_value()) {
      std::vector<TextGrid::Column> titles = {{"column", TextGrid::Align::kLeft}, {"growth", TextGrid::Align::kLeft}};
      for (size_t i = first; i < column.growth.size(); ++i) {
        titles.push_back({fmt::format("{} rows", GroupedDigits(column.growth[i].rows))});
      }
      grid.emplace(std::move(titles));
    }
    std::vector<double> heights;
    for (const GrowthPoint& point : column.growth) heights.push_back(point.distinct);
    std::vector<std::string> row = {column.name, Sparkline(heights)};
    for (size_t i = first; i < column.growth.size(); ++i) row.push_back(Rounded(column.growth[i].distinct));
    grid->AddRow(std::move(row));
  }
  if (!grid.has_value()) return std::nullopt;
  return NamedGrid{"Vocabulary", "Distinct values seen each time that the rows had doubled.", *std::move(grid)};
}

std::vector<NamedGrid> Grids(const LakeSummary& lake) {
  std::vector<NamedGrid> grids = {ColumnGrid(lake)};
  TextGrid numbers = EmptyNumberGrid(), lengths = EmptyNumberGrid();
  for (const ColumnSummary& column : lake.columns) {
    if (HasNumbers(column)) AddNumberRow(column.name, column.numbers, column.quantiles, &numbers);
    if (!column.length_quantiles.empty()) {
      AddNumberRow(column.name, column.lengths, column.length_quantiles, &lengths);
    }
  }
  if (!numbers.rows().empty()) {
    grids.push_back({"Numbers",
                     fmt::format("Of the finite values; quantiles to within {:.1f} % of the rows.",
                                 100 * QuantileSketch::kRankError),
                     std::move(numbers)});
  }
  if (!lengths.rows().empty()) {
    grids.push_back({"Lists", "Values in a list, of the lists that are not missing.", std::move(lengths)});
  }
  if (auto growth = GrowthGrid(lake); growth.has_value()) grids.push_back(*std::move(growth));
  return grids;
}

void WriteQuantiles(const std::vector<double>& quantiles, JsonWriter* json) {
  json->Name("quantiles");
  json->BeginArray();
  for (size_t i = 0; i < quantiles.size(); ++i) {
    json->BeginObject();
    json->Number("q", static_cast<double>(i) / static_cast<double>(quantiles.size() - 1));
    json->Number("value", quantiles[i]);
    json->EndObject();
  }
  json->EndArray();
}

void WriteTopValue(const TopValue& value, JsonWriter* json) {
  json->BeginObject();
  switch (value.kind) {
    case TopValue::Kind::kInteger:
      json->Integer("value", static_cast<int64_t>(value.bits));
      break;
    case TopValue::Kind::kUnsigned:
      json->Name("value");
      json->Unsigned(value.bits);
      break;
    case TopValue::Kind::kFloating:
      json->Number("value", std::bit_cast<double>(value.bits));
      break;
    case TopValue::Kind::kText:
      json->Text("value", value.text);
      break;
  }
  json->Integer("count", value.count);
  json->Integer("error", value.error);
  json->EndObject();
}

void WriteKeys(const ColumnSummary& column, JsonWriter* json) {
  json->Integer("distinct", std::llround(column.distinct));
  json->Number("distinct_error", HyperLogLog::kRelativeError);
  json->Name("top");
  json->BeginArray();
  for (const TopValue& value : column.top) WriteTopValue(value, json);
  json->EndArray();
  json->Integer("top_error", column.top_error);
  json->Name("growth");
  json->BeginArray();
  for (const GrowthPoint& point : column.growth) {
    json->BeginObject();
    json->Integer("rows", point.rows);
    json->Integer("distinct", std::llround(point.distinct));
    json->EndObject();
  }
  json->EndArray();
}

void WriteColumn(const ColumnSummary& column, JsonWriter* json) {
  json->BeginObject();
  json->Text("name", column.name);
  json->Text("type", column.type);
  json->Integer("rows", column.rows);
  json->Integer("missing", column.missing);
  if (column.has_keys) WriteKeys(column, json);
  if (HasNumbers(column)) {
    json->Integer("values", column.numbers.count);
    json->Integer("nan", column.nan);
    json->Integer("infinite", column.infinite);
    json->Number("min", column.numbers.min);
    json->Number("max", column.numbers.max);
    json->Number("mean", column.numbers.mean);
    json->Number("stddev", column.numbers.stddev());
    json->Number("quantile_rank_error", QuantileSketch::kRankError);
    WriteQuantiles(column.quantiles, json);
  }
  if (!column.length_quantiles.empty()) {
    json->Name("lengths");
    json->BeginObject();
    json->Number("min", column.lengths.min);
    json->Number("max", column.lengths.max);
    json->Number("mean", column.lengths.mean);
    WriteQuantiles(column.length_quantiles, json);
    json->EndObject();
  }
  json->EndObject();
}

std::string TopChart(const ColumnSummary& column) {
  std::vector<Bar> bars;
  for (const TopValue& value : column.top) {
    const std::string tooltip = fmt::format("{}: {} times", value.text, GroupedDigits(value.count));
    std::string label = value.text.substr(0, 8);
    while (!label.empty() && label.size() < value.text.size() &&
           (static_cast<unsigned char>(value.text[label.size()]) & 0xc0) == 0x80) {
      label.pop_back();
    }
    bars.push_back({label, tooltip, static_cast<double>(value.count)});
  }
  return BarChart(bars);
}

// The share of values that are at most x.
std::string ShareChart(const std::string& name, const std::vector<double>& quantiles) {
  Series series{name, quantiles, {}};
  for (size_t i = 0; i < quantiles.size(); ++i) {
    series.y.push_back(static_cast<double>(i) / static_cast<double>(quantiles.size() - 1));
  }
  // Long tails would press all else to the left.
  const double middle = quantiles[quantiles.size() / 2];
  const bool long_tail = quantiles.front() >= 0 && quantiles.back() > 100 * std::max(middle, 1e-300);
  Axes axes{"value", "share of values at most this", long_tail, false, true};
  return LineChart({series}, axes);
}

std::string GrowthChart(const ColumnSummary& column) {
  Series series{column.name, {}, {}};
  for (const GrowthPoint& point : column.growth) {
    series.x.push_back(static_cast<double>(point.rows));
    series.y.push_back(point.distinct);
  }
  return LineChart({series}, {"rows", "distinct values", false, false, false});
}

}  // namespace

std::string StatsText(const LakeSummary& lake) {
  std::string text = Summary(lake) + "\n";
  for (const NamedGrid& grid : Grids(lake)) {
    text += fmt::format("\n{}. {}\n{}", grid.title, grid.explanation, grid.grid.ToText());
  }
  return text;
}

std::string StatsJson(const LakeSummary& lake) {
  JsonWriter json;
  json.BeginObject();
  json.Text("format", "weir.stats");
  json.Integer("version", kFormatVersion);
  json.Name("uris");
  json.BeginArray();
  for (const std::string& uri : lake.uris) json.Text(uri);
  json.EndArray();
  json.Integer("files", lake.files);
  json.Integer("rows", lake.rows);
  json.Integer("rows_read", lake.rows_read);
  json.Name("columns");
  json.BeginArray();
  for (const ColumnSummary& column : lake.columns) WriteColumn(column, &json);
  json.EndArray();
  json.EndObject();
  return json.text() + "\n";
}

HtmlPage StatsPage(const LakeSummary& lake) {
  HtmlPage page("Columns of the data");
  std::string uris;
  for (const std::string& uri : lake.uris) uris += (uris.empty() ? "" : ", ") + uri;
  page.Paragraph(uris + ": " + Summary(lake));
  for (const NamedGrid& grid : Grids(lake)) {
    page.Heading(2, grid.title);
    page.Paragraph(grid.explanation);
    page.Grid(grid.grid);
  }
  for (const ColumnSummary& column : lake.columns) {
    if (!column.has_keys && column.length_quantiles.empty()) continue;
    page.Heading(2, "Column " + column.name);
    page.BeginFigures();
    if (!column.top.empty()) page.Figure(TopChart(column), "times that the most frequent values come");
    if (HasNumbers(column)) page.Figure(ShareChart(column.name, column.quantiles), "how the values spread");
    if (!column.length_quantiles.empty()) {
      page.Figure(ShareChart(column.name, column.length_quantiles), "how the lists' lengths spread");
    }
    if (column.growth.size() > 1) page.Figure(GrowthChart(column), "growth of the vocabulary");
    page.EndFigures();
  }
  return page;
}

}  // namespace weir
