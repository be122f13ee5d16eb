#include "bench/bench_line.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace weir::bench {

double ThreadNanos() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double TimedNanos(const std::function<void()>& run) {
  const double start = ThreadNanos();
  run();
  return ThreadNanos() - start;
}

double Rounds::best() const { return *std::min_element(values.begin(), values.end()); }
double Rounds::worst() const { return *std::max_element(values.begin(), values.end()); }

void PrintLine(const std::string& bench, const std::string& name, const std::string& unit, const Rounds& rounds,
               const std::string& against, const Rounds* other) {
  fmt::print(
      "{{\"bench\": \"{}\", \"case\": \"{}\", \"value\": {:.3f}, \"unit\": \"{}\", \"min\": {:.3f}, \"max\": {:.3f}, "
      "\"against\": {}, \"ratio\": {}}}\n",
      bench, name, rounds.best(), unit, rounds.best(), rounds.worst(),
      other != nullptr ? "\"" + against + "\"" : "null",
      other != nullptr ? fmt::format("{:.3f}", other->best() / rounds.best()) : "null");
  std::fflush(stdout);
}

}  // namespace weir::bench
