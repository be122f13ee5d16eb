#include "launch/table_sim/sim_views.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "launch/report/json_writer.h"
#include "launch/report/svg_chart.h"
#include "launch/report/text_grid.h"

namespace weir {
namespace {

using Align = TextGrid::Align;

std::vector<TextGrid::Column> OutcomeColumns(std::vector<std::string> names) {
  std::vector<TextGrid::Column> columns;
  for (std::string& name : names) columns.push_back({std::move(name), Align::kLeft});
  for (const char* title : {"rows", "peak", "memory", "peak", "hit rate", "rejected", "evicted", "collisions"}) {
    columns.push_back({title, Align::kRight});
  }
  return columns;
}

void AddOutcome(std::vector<std::string> cells, const TableOutcome& outcome, TextGrid* grid) {
  const auto values = static_cast<double>(outcome.counts.values);
  for (std::string& cell : std::vector<std::string>{
           GroupedDigits(outcome.rows), GroupedDigits(outcome.rows_peak), BytesText(static_cast<double>(outcome.bytes)),
           BytesText(static_cast<double>(outcome.bytes_peak)),
           ShareText(static_cast<double>(outcome.counts.hits), values),
           ShareText(static_cast<double>(outcome.counts.rejected), values), GroupedDigits(outcome.rows_evicted),
           ShareText(static_cast<double>(outcome.colliding_keys), static_cast<double>(outcome.folded_keys))}) {
    cells.push_back(std::move(cell));
  }
  grid->AddRow(std::move(cells));
}

TextGrid TotalGrid(const SimResult& result) {
  TextGrid grid(OutcomeColumns({"policy"}));
  for (const PolicyOutcome& policy : result.policies) AddOutcome({policy.policy}, policy.total, &grid);
  return grid;
}

TextGrid TableGrid(const SimResult& result) {
  TextGrid grid(OutcomeColumns({"table", "policy"}));
  for (size_t t = 0; t < result.policies.front().tables.size(); ++t) {
    for (const PolicyOutcome& policy : result.policies) {
      AddOutcome({policy.tables[t].table, policy.policy}, policy.tables[t], &grid);
    }
  }
  return grid;
}

std::string Replayed(const SimResult& result) {
  return fmt::format("{} steps, {} rows, {} looked-up values", GroupedDigits(result.steps), GroupedDigits(result.rows),
                     GroupedDigits(result.policies.front().total.counts.values));
}

void WriteOutcome(const TableOutcome& outcome, JsonWriter* json) {
  json->BeginObject();
  json->Text("table", outcome.table);
  json->Integer("rows", outcome.rows);
  json->Integer("rows_peak", outcome.rows_peak);
  json->Integer("bytes", outcome.bytes);
  json->Integer("bytes_peak", outcome.bytes_peak);
  json->Integer("values", outcome.counts.values);
  json->Integer("hits", outcome.counts.hits);
  json->Integer("rejected", outcome.counts.rejected);
  json->Integer("rows_evicted", outcome.rows_evicted);
  json->Integer("folded_keys", outcome.folded_keys);
  json->Integer("colliding_keys", outcome.colliding_keys);
  json->EndObject();
}

void WritePoints(const std::vector<PolicyPoint>& points, JsonWriter* json) {
  json->BeginArray();
  for (const PolicyPoint& point : points) {
    json->BeginObject();
    json->Integer("step", point.step);
    json->Integer("values", point.counts.values);
    json->Integer("hits", point.counts.hits);
    json->Integer("rejected", point.counts.rejected);
    json->Integer("rows", point.rows);
    json->Integer("bytes", point.bytes);
    json->EndObject();
  }
  json->EndArray();
}

double HitRate(const ValueCounts& counts) {
  return counts.values > 0 ? static_cast<double>(counts.hits) / static_cast<double>(counts.values) : 0;
}

// One value of each policy's points over its steps.
template <typename Value>
std::vector<Series> OverTime(const SimResult& result, Value&& value) {
  std::vector<Series> series;
  for (const PolicyOutcome& policy : result.policies) {
    Series line = {policy.policy, {}, {}};
    for (const PolicyPoint& point : policy.points) {
      line.x.push_back(static_cast<double>(point.step));
      line.y.push_back(value(point));
    }
    series.push_back(std::move(line));
  }
  return series;
}

}  // namespace

std::string SimText(const SimResult& result) {
  return fmt::format("{}\n\n{}\n{}", Replayed(result), TotalGrid(result).ToText(), TableGrid(result).ToText());
}

std::string SimJson(const SimResult& result) {
  JsonWriter json;
  json.BeginObject();
  json.Integer("steps", result.steps);
  json.Integer("rows", result.rows);
  json.Name("policies");
  json.BeginArray();
  for (const PolicyOutcome& policy : result.policies) {
    json.BeginObject();
    json.Text("policy", policy.policy);
    json.Name("total");
    WriteOutcome(policy.total, &json);
    json.Name("tables");
    json.BeginArray();
    for (const TableOutcome& table : policy.tables) WriteOutcome(table, &json);
    json.EndArray();
    json.Name("points");
    WritePoints(policy.points, &json);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return json.text() + "\n";
}

HtmlPage SimPage(const std::string& title, const SimResult& result) {
  HtmlPage page(title);
  page.Paragraph(Replayed(result) + ". Without training: keys, steps and policies are those of the job.");
  page.Grid(TotalGrid(result));
  std::vector<Series> at_end;
  for (const PolicyOutcome& policy : result.policies) {
    at_end.push_back({policy.policy, {static_cast<double>(policy.total.bytes_peak)}, {HitRate(policy.total.counts)}});
  }
  page.BeginFigures();
  page.Figure(
      PointChart(
          at_end,
          {.x_title = "memory at its peak", .y_title = "hit rate", .log_x = true, .bytes_x = true, .share_y = true}),
      "Memory and hit rate: better is to the left and up.");
  page.Figure(LineChart(OverTime(result, [](const PolicyPoint& point) { return HitRate(point.counts); }),
                        {.x_title = "step", .y_title = "hit rate", .share_y = true}),
              "Hit rate over time.");
  page.Figure(LineChart(OverTime(result, [](const PolicyPoint& point) { return static_cast<double>(point.rows); }),
                        {.x_title = "step", .y_title = "rows"}),
              "Rows over time.");
  page.EndFigures();
  page.Heading(2, "By table");
  page.Grid(TableGrid(result));
  return page;
}

}  // namespace weir
