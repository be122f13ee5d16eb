// Charts as SVG text, for HtmlPage: bars, lines and points. Leaf functions; colours are the page's.
#pragma once

#include <string>
#include <vector>

namespace weir {

struct Bar {
  std::string label;    // under the bar
  std::string tooltip;  // what the bar says when it is pointed at
  double value = 0;     // at least 0
};

// Bars from 0; where there are many, not every label is written.
std::string BarChart(const std::vector<Bar>& bars);

struct Series {
  std::string name;
  std::vector<double> x;  // same length as y
  std::vector<double> y;
};

struct Axes {
  std::string x_title;
  std::string y_title;
  bool log_x = false;    // only values above 0 are shown
  bool bytes_x = false;  // ticks as 4 MiB
  // The y axis goes from 0 to 1, as a share; else from 0 to the largest value.
  bool share_y = false;
};

// One line per series, with a legend of their names.
std::string LineChart(const std::vector<Series>& series, const Axes& axes);

// One point per series (its first), with its name beside it.
std::string PointChart(const std::vector<Series>& series, const Axes& axes);

}  // namespace weir
