// What the benches share: the clock, rounds of two sides that take turns, and the JSON line of a result.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weir::bench {

inline constexpr int kRounds = 5;

// CPU time of this thread, so that other work on the machine shows as little as it can.
double ThreadNanos();
double TimedNanos(const std::function<void()>& run);

// One figure a round; smaller is better.
struct Rounds {
  std::vector<double> values;

  void Add(double value) { values.push_back(value); }
  double best() const;
  double worst() const;
};

// Prints a result in `unit`, which counts what is taken (ns/key, bytes/row): value and min are the best round, max the
// worst. other: of the limit or peer `against`, taken in turn; null when there is none.
void PrintLine(const std::string& bench, const std::string& name, const std::string& unit, const Rounds& rounds,
               const std::string& against, const Rounds* other);

}  // namespace weir::bench
