#include "launch/report/distribution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <glog/logging.h>

namespace weir {

void Distribution::Add(double value) {
  DCHECK(std::isfinite(value) && value >= 0) << value;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += value;
  ++count_;
  if (value == 0) {
    ++zeros_;
    return;
  }
  const int exponent = std::ilogb(value);
  const double fraction = std::ldexp(value, -exponent) - 1;  // [0, 1)
  ++by_exponent_[exponent][static_cast<int>(fraction * (1 << kFractionBits))];
}

double Distribution::Quantile(double share) const {
  if (count_ == 0) return 0;
  const auto rank = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(share * static_cast<double>(count_))));
  if (rank >= count_) return max_;
  int64_t seen = zeros_;
  if (seen >= rank) return 0;
  for (const auto& [exponent, bins] : by_exponent_) {
    for (size_t i = 0; i < bins.size(); ++i) {
      seen += bins[i];
      if (seen < rank) continue;
      const double lower = std::ldexp(1 + std::ldexp(static_cast<double>(i), -kFractionBits), exponent);
      return std::max(lower, min_);
    }
  }
  return max_;
}

std::vector<Distribution::Bin> Distribution::PowersOfTwo() const {
  std::vector<Bin> bins;
  if (zeros_ > 0) bins.push_back({0, 0, zeros_});
  if (by_exponent_.empty()) return bins;
  for (int exponent = by_exponent_.begin()->first; exponent <= by_exponent_.rbegin()->first; ++exponent) {
    const auto found = by_exponent_.find(exponent);
    const int64_t count =
        found == by_exponent_.end() ? 0 : std::accumulate(found->second.begin(), found->second.end(), int64_t{0});
    bins.push_back({std::ldexp(1.0, exponent), std::ldexp(1.0, exponent + 1), count});
  }
  return bins;
}

}  // namespace weir
