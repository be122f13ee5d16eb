#include "launch/table_report/report_grids.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr double kQuantiles[] = {0.1, 0.5, 0.9, 0.99};
using Align = TextGrid::Align;

std::vector<TextGrid::Column> Titles(std::vector<std::string> titles) {
  std::vector<TextGrid::Column> columns = {{"table", Align::kLeft}};
  for (std::string& title : titles) columns.push_back({std::move(title), Align::kRight});
  return columns;
}

// min, the quantiles, max, mean.
std::vector<std::string> Spread(const Distribution& values) {
  if (values.count() == 0) return std::vector<std::string>(7, "-");
  std::vector<std::string> cells = {NumberText(values.min())};
  for (const double share : kQuantiles) cells.push_back(NumberText(values.Quantile(share)));
  cells.push_back(NumberText(values.max()));
  cells.push_back(NumberText(values.mean()));
  return cells;
}

// The histograms of one measure over all tables, on one scale.
class Shapes {
 public:
  Shapes(std::span<const TableStatistics> tables, const Distribution TableStatistics::*measure) : measure_(measure) {
    for (const TableStatistics& table : tables) {
      for (const Distribution::Bin& bin : (table.*measure).PowersOfTwo()) {
        if (bin.upper == 0) {
          zeros_ = true;
        } else {
          lower_ = upper_ == 0 ? bin.lower : std::min(lower_, bin.lower);
          upper_ = std::max(upper_, bin.upper);
        }
      }
    }
  }

  TextGrid::Column column() const {
    std::string title = "by powers of two:";
    if (zeros_) title += upper_ > 0 ? " 0," : " 0";
    if (upper_ > 0) title += fmt::format(" {} - {}", NumberText(lower_), NumberText(upper_));
    return {title, Align::kLeft};
  }
  std::string Of(const TableStatistics& table) const {
    std::vector<double> heights(zeros_ ? 1 : 0);
    for (double lower = lower_; lower < upper_; lower *= 2) heights.push_back(0);
    for (const Distribution::Bin& bin : (table.*measure_).PowersOfTwo()) {
      const size_t at = bin.upper == 0 ? 0 : std::ilogb(bin.lower) - std::ilogb(lower_) + (zeros_ ? 1 : 0);
      heights[at] = static_cast<double>(bin.count);
    }
    return Sparkline(heights);
  }

 private:
  const Distribution TableStatistics::*measure_;
  bool zeros_ = false;
  double lower_ = 0, upper_ = 0;
};

TextGrid SpreadGrid(std::vector<std::string> more, const Shapes& shapes) {
  std::vector<std::string> titles = {"min", "10 %", "50 %", "90 %", "99 %", "max", "mean"};
  for (std::string& title : more) titles.push_back(std::move(title));
  std::vector<TextGrid::Column> columns = Titles(std::move(titles));
  columns.push_back(shapes.column());
  return TextGrid(std::move(columns));
}

// One line of a SpreadGrid.
void AddSpread(const TableStatistics& table, const Distribution& values, std::vector<std::string> more,
               const Shapes& shapes, TextGrid* grid) {
  std::vector<std::string> cells = {table.table};
  for (std::string& cell : Spread(values)) cells.push_back(std::move(cell));
  for (std::string& cell : more) cells.push_back(std::move(cell));
  cells.push_back(shapes.Of(table));
  grid->AddRow(std::move(cells));
}

std::vector<std::string> SizeCells(const std::string& name, int64_t rows, const TableStatistics& sizes) {
  return {name,
          GroupedDigits(rows),
          BytesText(static_cast<double>(sizes.weight_bytes)),
          BytesText(static_cast<double>(sizes.state_bytes)),
          BytesText(static_cast<double>(sizes.index_bytes)),
          BytesText(static_cast<double>(sizes.bytes())),
          rows > 0 ? fmt::format("{:.1f} B", static_cast<double>(sizes.bytes()) / static_cast<double>(rows)) : "-",
          BytesText(static_cast<double>(sizes.file_bytes))};
}

TextGrid SizeGrid(std::span<const TableStatistics> tables) {
  TextGrid grid(Titles({"rows", "weights", "state", "index", "memory", "a row", "in files", "dim", "state floats",
                        "rows per shard: min", "mean", "max"}));
  TableStatistics sum;
  for (const TableStatistics& table : tables) {
    std::vector<std::string> cells = SizeCells(table.table, table.rows, table);
    for (const std::string& cell :
         {fmt::format("{}", table.layout.dim), fmt::format("{}", table.layout.state_width()),
          GroupedDigits(table.shard_rows_min()), fmt::format("{:.1f}", table.shard_rows_mean()),
          GroupedDigits(table.shard_rows_max())}) {
      cells.push_back(cell);
    }
    grid.AddRow(std::move(cells));
    sum.rows += table.rows;
    sum.weight_bytes += table.weight_bytes;
    sum.state_bytes += table.state_bytes;
    sum.index_bytes += table.index_bytes;
    sum.file_bytes += table.file_bytes;
  }
  if (tables.size() > 1) {
    std::vector<std::string> cells = SizeCells("all", sum.rows, sum);
    cells.resize(grid.columns().size());
    grid.AddRow(std::move(cells));
  }
  return grid;
}

TextGrid AgeGrid(std::span<const TableStatistics> tables) {
  const Shapes shapes(tables, &TableStatistics::ages);
  TextGrid grid = SpreadGrid({}, shapes);
  for (const TableStatistics& table : tables) AddSpread(table, table.ages, {}, shapes, &grid);
  return grid;
}

TextGrid CountGrid(std::span<const TableStatistics> tables) {
  const Shapes shapes(tables, &TableStatistics::counts);
  TextGrid grid = SpreadGrid({"once"}, shapes);
  for (const TableStatistics& table : tables) {
    AddSpread(table, table.counts, {ShareText(static_cast<double>(table.once_rows), static_cast<double>(table.rows))},
              shapes, &grid);
  }
  return grid;
}

TextGrid NormGrid(std::span<const TableStatistics> tables) {
  const Shapes shapes(tables, &TableStatistics::norms);
  TextGrid grid = SpreadGrid({"zero rows", "zero weights", "NaN", "Inf"}, shapes);
  for (const TableStatistics& table : tables) {
    AddSpread(table, table.norms,
              {ShareText(static_cast<double>(table.zero_rows), static_cast<double>(table.rows)),
               ShareText(static_cast<double>(table.zero_weights), static_cast<double>(table.weights())),
               GroupedDigits(table.nan_weights), GroupedDigits(table.infinite_weights)},
              shapes, &grid);
  }
  return grid;
}

}  // namespace

std::vector<NamedGrid> ReportGrids(std::span<const TableStatistics> tables) {
  return {{"Memory",
           "What the rows take over all owners; state includes each row's last step and count, index is an "
           "estimate.",
           SizeGrid(tables)},
          {"Age", "Steps since a row was trained last.", AgeGrid(tables)},
          {"Count", "How often a row was trained.", CountGrid(tables)},
          {"L2 norm of the weights", "Rows with a NaN or an infinity are left out of the norms.", NormGrid(tables)}};
}

std::vector<NamedHistogram> ReportHistograms(const TableStatistics& table) {
  return {{"age in steps", true, table.ages.PowersOfTwo()},
          {"count", true, table.counts.PowersOfTwo()},
          {"L2 norm of the weights", false, table.norms.PowersOfTwo()}};
}

std::string BinLabel(const Distribution::Bin& bin, bool whole) {
  if (bin.upper == 0) return "0";
  if (!whole) return fmt::format("{} - {}", NumberText(bin.lower), NumberText(bin.upper));
  if (bin.upper - bin.lower == 1) return NumberText(bin.lower);
  return fmt::format("{} - {}", NumberText(bin.lower), NumberText(bin.upper - 1));
}

}  // namespace weir
