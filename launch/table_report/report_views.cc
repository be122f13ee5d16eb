#include "launch/table_report/report_views.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "launch/report/json_writer.h"
#include "launch/report/svg_chart.h"
#include "launch/table_report/report_grids.h"

namespace weir {
namespace {

std::string Summary(const ReportSubject& subject) {
  return fmt::format("{}: step {}, {} virtual shards", subject.checkpoint, GroupedDigits(subject.step),
                     GroupedDigits(subject.virtual_shards));
}

TextGrid HistogramGrid(const NamedHistogram& histogram) {
  TextGrid grid(
      {{histogram.title, TextGrid::Align::kRight}, {"rows", TextGrid::Align::kRight}, {"", TextGrid::Align::kLeft}});
  constexpr int kBarWidth = 40;
  int64_t most = 1;
  for (const Distribution::Bin& bin : histogram.bins) most = std::max(most, bin.count);
  for (const Distribution::Bin& bin : histogram.bins) {
    std::string bar;
    for (int64_t i = 0; i < (bin.count * kBarWidth + most - 1) / most; ++i) bar += "█";
    grid.AddRow({BinLabel(bin, histogram.whole), GroupedDigits(bin.count), bar});
  }
  return grid;
}

void WriteDistribution(std::string_view name, const Distribution& values, JsonWriter* json) {
  json->Name(name);
  json->BeginObject();
  json->Number("min", values.min());
  for (const auto& [label, share] : {std::pair{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}) {
    json->Number(label, values.Quantile(share));
  }
  json->Number("max", values.max());
  json->Number("mean", values.mean());
  json->Name("histogram");
  json->BeginArray();
  for (const Distribution::Bin& bin : values.PowersOfTwo()) {
    json->BeginObject();
    json->Number("from", bin.lower);
    json->Number("below", bin.upper);
    json->Integer("rows", bin.count);
    json->EndObject();
  }
  json->EndArray();
  json->EndObject();
}

void WriteTable(const TableStatistics& table, JsonWriter* json) {
  json->BeginObject();
  json->Text("table", table.table);
  json->Integer("dim", table.layout.dim);
  json->Integer("state_width", table.layout.state_width());
  json->Integer("rows", table.rows);
  json->Integer("weight_bytes", table.weight_bytes);
  json->Integer("state_bytes", table.state_bytes);
  json->Integer("index_bytes", table.index_bytes);
  json->Integer("bytes", table.bytes());
  json->Integer("file_bytes", table.file_bytes);
  json->Integer("shard_rows_min", table.shard_rows_min());
  json->Number("shard_rows_mean", table.shard_rows_mean());
  json->Integer("shard_rows_max", table.shard_rows_max());
  WriteDistribution("age", table.ages, json);
  WriteDistribution("count", table.counts, json);
  json->Integer("once_rows", table.once_rows);
  WriteDistribution("norm", table.norms, json);
  json->Integer("zero_rows", table.zero_rows);
  json->Integer("zero_weights", table.zero_weights);
  json->Integer("nan_weights", table.nan_weights);
  json->Integer("infinite_weights", table.infinite_weights);
  json->EndObject();
}

std::string Chart(const NamedHistogram& histogram) {
  std::vector<Bar> bars;
  for (const Distribution::Bin& bin : histogram.bins) {
    bars.push_back({bin.upper == 0 ? "0" : fmt::format("{:.3g}", bin.lower),
                    fmt::format("{}: {} rows", BinLabel(bin, histogram.whole), GroupedDigits(bin.count)),
                    static_cast<double>(bin.count)});
  }
  return BarChart(bars);
}

}  // namespace

std::string ReportText(const ReportSubject& subject, std::span<const TableStatistics> tables, bool details) {
  std::string text = Summary(subject) + "\n";
  for (const NamedGrid& grid : ReportGrids(tables)) {
    text += fmt::format("\n{}. {}\n{}", grid.title, grid.explanation, grid.grid.ToText());
  }
  if (!details) return text;
  for (const TableStatistics& table : tables) {
    if (table.rows == 0) continue;
    for (const NamedHistogram& histogram : ReportHistograms(table)) {
      text += fmt::format("\n{}\n{}", table.table, HistogramGrid(histogram).ToText());
    }
  }
  return text;
}

std::string ReportJson(const ReportSubject& subject, std::span<const TableStatistics> tables) {
  JsonWriter json;
  json.BeginObject();
  json.Text("checkpoint", subject.checkpoint);
  json.Integer("step", subject.step);
  json.Integer("virtual_shards", subject.virtual_shards);
  json.Name("tables");
  json.BeginArray();
  for (const TableStatistics& table : tables) WriteTable(table, &json);
  json.EndArray();
  json.EndObject();
  return json.text() + "\n";
}

HtmlPage ReportPage(const ReportSubject& subject, std::span<const TableStatistics> tables) {
  HtmlPage page("Tables of " + subject.checkpoint);
  page.Paragraph(Summary(subject));
  std::vector<Bar> sizes;
  for (const TableStatistics& table : tables) {
    const std::string tooltip = fmt::format("{}: {}", table.table, BytesText(static_cast<double>(table.bytes())));
    sizes.push_back({table.table, tooltip, static_cast<double>(table.bytes())});
  }
  for (const NamedGrid& grid : ReportGrids(tables)) {
    page.Heading(2, grid.title);
    page.Paragraph(grid.explanation);
    page.Grid(grid.grid);
  }
  if (tables.size() > 1) {
    page.BeginFigures();
    page.Figure(BarChart(sizes), "memory of each table in bytes");
    page.EndFigures();
  }
  for (const TableStatistics& table : tables) {
    if (table.rows == 0) continue;
    page.Heading(2, "Table " + table.table);
    page.BeginFigures();
    for (const NamedHistogram& histogram : ReportHistograms(table)) {
      page.Figure(Chart(histogram), histogram.title + ", rows by powers of two");
    }
    page.EndFigures();
  }
  return page;
}

}  // namespace weir
