// ProgressLine: what a long command says on stderr of how far it is.
#pragma once

#include <cstdint>
#include <string>

namespace weir {

// One thread. Says nothing during the first seconds, then a line every ten.
class ProgressLine {
 public:
  ProgressLine();

  // rows done so far, and the share of all work, from 0 to 1.
  void Update(int64_t rows, double share);
  double seconds() const;

 private:
  const int64_t start_ns_;
  int64_t shown_ns_;
};

// "12,345,678 rows, 41.2 %, 1,234,567 rows/s, about 12 s left".
std::string ProgressText(int64_t rows, double share, double seconds);

}  // namespace weir
