// Moments: count, least, largest, mean and variance of numbers that come in batches.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace weir {

struct Moments {
  int64_t count = 0;
  double min = 0, max = 0, mean = 0;
  double squares = 0;  // of the distances from the mean, summed

  // Of the population; 0 without values.
  double stddev() const { return count > 0 ? std::sqrt(squares / static_cast<double>(count)) : 0; }

  // Adds a batch of finite numbers: two passes over it, then joined (Chan, Golub, LeVeque: "Updating formulae and a
  // pairwise algorithm for computing sample variances", 1979), so that large means cost no digits.
  void Add(std::span<const double> values) {
    if (values.empty()) return;
    const auto added = static_cast<double>(values.size());
    double sum = 0;
    for (const double value : values) sum += value;
    const double batch_mean = sum / added;
    double batch_squares = 0;
    for (const double value : values) batch_squares += (value - batch_mean) * (value - batch_mean);
    const auto [least, largest] = std::minmax_element(values.begin(), values.end());
    min = count == 0 ? *least : std::min(min, *least);
    max = count == 0 ? *largest : std::max(max, *largest);
    const auto before = static_cast<double>(count);
    const double distance = batch_mean - mean;
    mean += distance * added / (before + added);
    squares += batch_squares + distance * distance * before * added / (before + added);
    count += static_cast<int64_t>(values.size());
  }
};

}  // namespace weir
