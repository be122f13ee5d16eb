#include "launch/report/progress_line.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "base/clock.h"
#include "launch/report/text_grid.h"

namespace weir {
namespace {

constexpr int64_t kEveryNs = 10 * kNanosPerSecond;

}  // namespace

ProgressLine::ProgressLine() : start_ns_(SystemClock().SteadyNanos()), shown_ns_(start_ns_) {}

void ProgressLine::Update(int64_t rows, double share) {
  const int64_t now_ns = SystemClock().SteadyNanos();
  if (now_ns - shown_ns_ < kEveryNs) return;
  shown_ns_ = now_ns;
  fmt::print(stderr, "{}\n", ProgressText(rows, share, seconds()));
  std::fflush(stderr);
}

double ProgressLine::seconds() const {
  return static_cast<double>(SystemClock().SteadyNanos() - start_ns_) / kNanosPerSecond;
}

std::string ProgressText(int64_t rows, double share, double seconds) {
  share = std::clamp(share, 0.0, 1.0);
  std::string text = fmt::format("{} rows, {:.1f} %", GroupedDigits(rows), 100 * share);
  if (seconds > 0) {
    text += fmt::format(", {} rows/s", GroupedDigits(static_cast<int64_t>(static_cast<double>(rows) / seconds)));
  }
  if (share > 0 && share < 1) text += fmt::format(", about {:.0f} s left", seconds / share - seconds);
  return text;
}

}  // namespace weir
