#include "trainer/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proto/memory_size.h"

namespace weir {
namespace {

constexpr int64_t kLivingLineNanos = 100 * kNanosPerMilli;
constexpr int64_t kMeasureNanos = kNanosPerSecond;
// The rate shown is that of the lines drawn within this time.
constexpr int64_t kRateNanos = 10 * kNanosPerSecond;
// Carriage return; erase to the end of the line (ECMA-48 EL).
constexpr std::string_view kErase = "\r\033[K";

}  // namespace

ProgressOptions ProgressOptions::ForStderr(double every_s) {
  ProgressOptions options;
  options.every_s = every_s;
  const char* term = std::getenv("TERM");
  options.terminal = isatty(STDERR_FILENO) && (term == nullptr || std::string_view(term) != "dumb");
  winsize size{};
  if (options.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) options.width = size.ws_col;
  return options;
}

Progress::Progress(const ProgressOptions& options, std::ostream& out, const Clock& clock)
    : options_(options), out_(out), clock_(clock) {}

Progress::~Progress() { Clear(); }

void Progress::Update(const ProgressState& state, const std::function<WindowMetrics()>& measure) {
  std::lock_guard lock(mutex_);
  const int64_t now_ns = clock_.SteadyNanos();
  if (!drawn_at_ns_) {  // the first call starts the time: a rate needs two
    drawn_at_ns_ = now_ns;
    Note(now_ns, state);
    return;
  }
  if (!Due(now_ns)) return;
  drawn_at_ns_ = now_ns;
  Note(now_ns, state);
  const bool stale = !measured_at_ns_ || !options_.terminal || now_ns - *measured_at_ns_ >= kMeasureNanos;
  if (measure && stale) {
    metrics_ = measure();
    measured_at_ns_ = now_ns;
  }
  if (options_.terminal) {
    out_ << kErase << Line(state).substr(0, std::max(1, options_.width - 1)) << '\r' << std::flush;
    line_stands_ = true;
  } else {
    out_ << Line(state) << '\n' << std::flush;
  }
}

void Progress::Say(std::string_view line) {
  std::lock_guard lock(mutex_);
  ClearLocked();
  out_ << line << '\n' << std::flush;
}

void Progress::Clear() {
  std::lock_guard lock(mutex_);
  ClearLocked();
}

void Progress::ClearLocked() {
  if (line_stands_) out_ << kErase << std::flush;
  line_stands_ = false;
}

bool Progress::Due(int64_t now_ns) const {
  const auto every_ns = options_.terminal ? kLivingLineNanos : static_cast<int64_t>(options_.every_s * kNanosPerSecond);
  return now_ns - *drawn_at_ns_ >= every_ns;
}

// Keeps the marks of the last kRateNanos, and at least one before this.
void Progress::Note(int64_t now_ns, const ProgressState& state) {
  marks_.push_back({now_ns, state.samples, state.step});
  while (marks_.size() > 2 && now_ns - marks_[1].time_ns >= kRateNanos) marks_.pop_front();
}

std::optional<double> Progress::SecondsLeft(const ProgressState& state) const {
  const Mark& first = marks_.front();
  const double seconds = static_cast<double>(marks_.back().time_ns - first.time_ns) / kNanosPerSecond;
  const bool by_samples = state.samples_total > 0;
  const auto done = static_cast<double>(by_samples ? state.samples - first.samples : state.step - first.step);
  const auto left =
      static_cast<double>(by_samples ? state.samples_total - state.samples : state.steps_total - state.step);
  if (done <= 0 || left < 0) return std::nullopt;
  return left * seconds / done;
}

std::string Progress::Line(const ProgressState& state) const {
  std::string line = fmt::format("step {}", state.step);
  auto out = std::back_inserter(line);
  if (state.steps_total > 0) fmt::format_to(out, "/{}", state.steps_total);
  if (state.epoch > 0) {
    fmt::format_to(out, "  epoch {}", state.epoch);
    if (state.epochs_total > 0) fmt::format_to(out, "/{}", state.epochs_total);
  }
  const double seconds = static_cast<double>(marks_.back().time_ns - marks_.front().time_ns) / kNanosPerSecond;
  if (seconds > 0) {
    fmt::format_to(out, "  {} samples/s", ShortNumber((state.samples - marks_.front().samples) / seconds));
  }
  if (metrics_.logloss) fmt::format_to(out, "  logloss {:.4f}", *metrics_.logloss);
  if (metrics_.auc) fmt::format_to(out, "  AUC {:.4f}", *metrics_.auc);
  if (state.table_bytes > 0) fmt::format_to(out, "  tables {}", FormatMemory(state.table_bytes));
  if (state.table_bytes > 0 && state.table_bytes_max > 0) {
    fmt::format_to(out, "/{}", FormatMemory(state.table_bytes_max));
  }
  if (std::optional<double> left = SecondsLeft(state)) fmt::format_to(out, "  ETA {}", ShortDuration(*left));
  return line;
}

std::string ShortNumber(double value) {
  for (const char* suffix : {"", "k", "M", "G"}) {
    const int digits = suffix[0] == '\0' || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    if (value < 999.5) return fmt::format("{:.{}f}{}", value, digits, suffix);
    value /= 1000;
  }
  return fmt::format("{:.0f}T", value);
}

std::string ShortDuration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, 1e12)));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole % 86400 / 3600);
}

}  // namespace weir
