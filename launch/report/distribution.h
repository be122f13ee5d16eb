// Distribution: how the values of a column spread: quantiles and a histogram by powers of two, in memory that does not
// grow with the number of values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace weir {

// Counts values by their exponent and the first seven bits of their fraction: whole numbers up to 256 are kept exactly,
// others to within 1/128 of themselves. Memory: 1 KiB for each power of two that occurs. Not thread-safe.
class Distribution {
 public:
  // value: finite, at least 0.
  void Add(double value);

  int64_t count() const { return count_; }
  int64_t zeros() const { return zeros_; }
  // Exact; 0 without values.
  double min() const { return count_ > 0 ? min_ : 0; }
  double max() const { return max_; }
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }

  // The smallest kept value that at least share * count() values do not exceed, 0 < share <= 1; never more than the
  // true one. 0 without values.
  double Quantile(double share) const;

  // Values in [lower, upper).
  struct Bin {
    double lower = 0;
    double upper = 0;
    int64_t count = 0;
  };
  // By powers of two without a gap from the first that occurs to the last; zeros, if there are any, stand in front as
  // a bin from 0 to 0.
  std::vector<Bin> PowersOfTwo() const;

 private:
  static constexpr int kFractionBits = 7;

  int64_t count_ = 0;
  int64_t zeros_ = 0;
  double sum_ = 0;
  double min_ = 0;
  double max_ = 0;
  std::map<int, std::array<int64_t, 1 << kFractionBits>> by_exponent_;  // of the values that are not 0
};

}  // namespace weir
