#include "launch/report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "launch/report/html_page.h"
#include "launch/report/text_grid.h"

namespace weir {
namespace {

constexpr int kColours = 8;  // --c0 .. of the page's style

struct Frame {
  double width, height;
  double left, right, top, bottom;  // margins
  double inner_width() const { return width - left - right; }
  double inner_height() const { return height - top - bottom; }
  double floor() const { return height - bottom; }
};

// Opens the svg element; `what` is read aloud to those who do not see it.
std::string Open(const Frame& frame, const std::string& what) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "role=\"img\" aria-label=\"{2}\">",
      frame.width, frame.height, EscapeHtml(what));
}

void AddText(double x, double y, const char* anchor, const std::string& text, std::string* svg) {
  fmt::format_to(std::back_inserter(*svg), "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                 EscapeHtml(text));
}

void AddLine(double x1, double y1, double x2, double y2, std::string* svg) {
  fmt::format_to(std::back_inserter(*svg),
                 "<line class=\"axis\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", x1, y1, x2, y2);
}

// 1, 2 or 5 times a power of ten, about a quarter of `range`.
double TickStep(double range) {
  const double rough = range / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

// "2.5M" for 2,500,000.
std::string ShortNumber(double value) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G"}) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.3g}{}", value, unit);
}

// Maps values of both axes to the picture.
class Scales {
 public:
  Scales(const std::vector<Series>& series, const Axes& axes, const Frame& frame) : axes_(axes), frame_(frame) {
    x_min_ = std::numeric_limits<double>::infinity();
    x_max_ = -x_min_;
    for (const Series& one : series) {
      for (size_t i = 0; i < one.x.size(); ++i) {
        if (!Shows(one.x[i])) continue;
        x_min_ = std::min(x_min_, Transform(one.x[i]));
        x_max_ = std::max(x_max_, Transform(one.x[i]));
        y_max_ = std::max(y_max_, one.y[i]);
      }
    }
    if (x_min_ > x_max_) x_min_ = x_max_ = 0;
    if (!axes.log_x) x_min_ = std::min(x_min_, 0.0);
    // Half a power of two beside the points, so that none sits on the edge; and something to divide by.
    const double beside = axes.log_x ? 0.5 : 0;
    x_min_ -= beside;
    x_max_ += beside;
    if (x_max_ <= x_min_) x_max_ = x_min_ + 1;
    if (axes.share_y) y_max_ = 1;
    if (y_max_ <= 0) y_max_ = 1;
  }

  bool Shows(double x) const { return !axes_.log_x || x > 0; }
  double X(double x) const { return frame_.left + (Transform(x) - x_min_) / (x_max_ - x_min_) * frame_.inner_width(); }
  double Y(double y) const { return frame_.floor() - y / y_max_ * frame_.inner_height(); }

  void AddAxes(std::string* svg) const {
    const double step = axes_.share_y ? 0.25 : TickStep(y_max_);
    for (double y = 0; y <= y_max_ * 1.0001; y += step) {
      AddLine(frame_.left, Y(y), frame_.width - frame_.right, Y(y), svg);
      AddText(frame_.left - 6, Y(y) + 4, "end", axes_.share_y ? fmt::format("{:.0f} %", 100 * y) : ShortNumber(y), svg);
    }
    for (const double x : XTicks()) {
      AddText(X(x), frame_.floor() + 15, "middle", axes_.bytes_x ? BytesText(x) : ShortNumber(x), svg);
    }
    AddText(frame_.left + frame_.inner_width() / 2, frame_.height - 5, "middle", axes_.x_title, svg);
    AddText(frame_.left - 6, 12, "start", axes_.y_title, svg);
  }

 private:
  double Transform(double x) const { return axes_.log_x ? std::log2(x) : x; }
  std::vector<double> XTicks() const {
    std::vector<double> ticks;
    if (axes_.log_x) {
      const int step = std::max(1, static_cast<int>(std::ceil((x_max_ - x_min_) / 8)));
      for (int log = static_cast<int>(std::ceil(x_min_)); log <= x_max_; log += step) ticks.push_back(std::exp2(log));
    } else {
      const double step = TickStep(x_max_ - x_min_);
      for (double x = std::ceil(x_min_ / step) * step; x <= x_max_ * 1.0001; x += step) ticks.push_back(x);
    }
    return ticks;
  }

  const Axes& axes_;
  const Frame& frame_;
  double x_min_ = 0, x_max_ = 0, y_max_ = 0;
};

std::string Colour(size_t series) { return fmt::format("var(--c{})", series % kColours); }

}  // namespace

std::string BarChart(const std::vector<Bar>& bars) {
  const Frame frame{360, 170, 46, 8, 10, 24};
  std::string svg = Open(frame, "bar chart");
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.value);
  if (most <= 0) most = 1;
  for (double y = 0; y <= most * 1.0001; y += TickStep(most)) {
    const double at = frame.floor() - y / most * frame.inner_height();
    AddLine(frame.left, at, frame.width - frame.right, at, &svg);
    AddText(frame.left - 5, at + 4, "end", ShortNumber(y), &svg);
  }
  const double pitch = frame.inner_width() / static_cast<double>(std::max<size_t>(bars.size(), 1));
  const size_t labelled = bars.size() / 9 + 1;
  for (size_t i = 0; i < bars.size(); ++i) {
    const double x = frame.left + pitch * static_cast<double>(i);
    // A bar that is not empty is seen.
    const double height = bars[i].value > 0 ? std::max(1.0, bars[i].value / most * frame.inner_height()) : 0;
    fmt::format_to(std::back_inserter(svg),
                   "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"1\" fill=\"var(--c0)\">"
                   "<title>{}</title></rect>",
                   x + pitch * 0.08, frame.floor() - height, pitch * 0.84, height, EscapeHtml(bars[i].tooltip));
    if (i % labelled == 0) AddText(x + pitch / 2, frame.floor() + 15, "middle", bars[i].label, &svg);
  }
  return svg + "</svg>";
}

std::string LineChart(const std::vector<Series>& series, const Axes& axes) {
  const Frame plot{560, 290, 56, 16, 24, 38};
  Frame with_legend = plot;
  with_legend.height += 16 * static_cast<double>((series.size() + 1) / 2);
  const Scales scales(series, axes, plot);
  std::string svg = Open(with_legend, "line chart: " + axes.y_title);
  scales.AddAxes(&svg);
  for (size_t s = 0; s < series.size(); ++s) {
    svg += fmt::format("<polyline fill=\"none\" stroke-width=\"1.8\" stroke=\"{}\" points=\"", Colour(s));
    for (size_t i = 0; i < series[s].x.size(); ++i) {
      if (!scales.Shows(series[s].x[i])) continue;
      fmt::format_to(std::back_inserter(svg), "{:.1f},{:.1f} ", scales.X(series[s].x[i]), scales.Y(series[s].y[i]));
    }
    svg += fmt::format("\"><title>{}</title></polyline>", EscapeHtml(series[s].name));
    const double x = plot.left + (s % 2 == 0 ? 0 : plot.inner_width() / 2);
    const double y = plot.height + 16 * static_cast<double>(s / 2) + 10;
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"12\" height=\"3\" fill=\"{}\"/>", x, y - 5, Colour(s));
    AddText(x + 18, y, "start", series[s].name, &svg);
  }
  return svg + "</svg>";
}

std::string PointChart(const std::vector<Series>& series, const Axes& axes) {
  const Frame frame{560, 290, 56, 16, 24, 38};
  const Scales scales(series, axes, frame);
  std::string svg = Open(frame, "point chart: " + axes.y_title);
  scales.AddAxes(&svg);
  for (size_t s = 0; s < series.size(); ++s) {
    if (series[s].x.empty() || !scales.Shows(series[s].x[0])) continue;
    const double x = scales.X(series[s].x[0]);
    const double y = scales.Y(series[s].y[0]);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"{}\"><title>{}</title></circle>", x, y,
                       Colour(s), EscapeHtml(series[s].name));
    // Names of points far to the right stand to their left.
    const bool right = x > frame.width * 0.7;
    AddText(right ? x - 8 : x + 8, y + 4, right ? "end" : "start", series[s].name, &svg);
  }
  return svg + "</svg>";
}

}  // namespace weir
