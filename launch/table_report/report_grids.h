// The grids of a table report: the same on a terminal and on a page.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "launch/report/text_grid.h"
#include "launch/table_report/table_statistics.h"

namespace weir {

struct NamedGrid {
  std::string title;
  std::string explanation;  // one sentence
  TextGrid grid;
};

// Memory, ages, counts and weights: one line a table each, and a line of sums under the first.
std::vector<NamedGrid> ReportGrids(std::span<const TableStatistics> tables);

// The histograms of one table.
struct NamedHistogram {
  std::string title;  // "age in steps"
  bool whole = true;  // whether the values are whole numbers
  std::vector<Distribution::Bin> bins;
};
std::vector<NamedHistogram> ReportHistograms(const TableStatistics& table);

// "4 - 7" for whole numbers, else "4 - 8"; "0".
std::string BinLabel(const Distribution::Bin& bin, bool whole);

}  // namespace weir
