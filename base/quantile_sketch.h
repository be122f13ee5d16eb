// QuantileSketch: the quantiles of a stream of numbers, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// KLL (Karnin, Lang, Liberty: "Optimal quantile approximation in streams", FOCS 2016): levels of numbers, each number
// of level h standing for 2^h; a full level is sorted and every second number goes up. Exact until the first level is
// full, about 8,000 numbers; never holds more than 25,000. The coins come from a counter, so that the same stream gives
// the same answer. One thread.
class QuantileSketch {
 public:
  // value: finite.
  void Add(double value);

  int64_t count() const { return count_; }
  // The value at each of the shares, which ascend from 0 (the least value) to 1 (the largest), both exact. A value
  // given for the share q is the true one of a share within kRankError of q, with a probability of 99 %. None without
  // values.
  std::vector<double> Quantiles(std::span<const double> shares) const;

  static constexpr double kRankError = 0.001;

 private:
  static constexpr size_t kTopCapacity = 8192;

  size_t Capacity(size_t level) const;
  void Compact();

  int64_t count_ = 0;
  double min_ = 0, max_ = 0;
  std::vector<std::vector<double>> levels_ = {{}};
  size_t capacity_ = kTopCapacity;  // of levels_[0]
  uint64_t coins_ = 0;              // thrown so far
};

}  // namespace weir
