#include "base/quantile_sketch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <glog/logging.h>

#include "base/random.h"

namespace weir {
namespace {

// Each level below the top holds this share of the one above; small levels, which are sorted often, have a floor.
constexpr double kShrink = 2.0 / 3;
constexpr size_t kCapacityMin = 16;

}  // namespace

size_t QuantileSketch::Capacity(size_t level) const {
  const auto below_top = static_cast<double>(levels_.size() - 1 - level);
  return std::max(kCapacityMin, static_cast<size_t>(kTopCapacity * std::pow(kShrink, below_top)));
}

void QuantileSketch::Add(double value) {
  DCHECK(std::isfinite(value)) << value;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  ++count_;
  levels_[0].push_back(value);
  if (levels_[0].size() >= capacity_) Compact();
}

void QuantileSketch::Compact() {
  for (size_t level = 0; level < levels_.size() && levels_[level].size() >= Capacity(level); ++level) {
    if (level + 1 == levels_.size()) levels_.emplace_back();
    std::vector<double>& full = levels_[level];
    std::sort(full.begin(), full.end());
    // An odd one stays behind.
    const size_t pairs = full.size() / 2;
    const uint64_t coin = SplitMix64(coins_++) & 1;
    for (size_t pair = 0; pair < pairs; ++pair) levels_[level + 1].push_back(full[2 * pair + coin]);
    full.erase(full.begin(), full.begin() + static_cast<ptrdiff_t>(2 * pairs));
  }
  capacity_ = Capacity(0);
}

std::vector<double> QuantileSketch::Quantiles(std::span<const double> shares) const {
  if (count_ == 0) return {};
  std::vector<std::pair<double, int64_t>> weighted;
  for (size_t level = 0; level < levels_.size(); ++level) {
    for (const double value : levels_[level]) weighted.emplace_back(value, int64_t{1} << level);
  }
  std::sort(weighted.begin(), weighted.end());
  std::vector<double> quantiles;
  size_t at = 0;
  int64_t below = 0;  // weight before weighted[at]
  for (const double share : shares) {
    const double rank = share * static_cast<double>(count_);
    while (at + 1 < weighted.size() && static_cast<double>(below + weighted[at].second) < rank) {
      below += weighted[at++].second;
    }
    quantiles.push_back(share <= 0 ? min_ : share >= 1 ? max_ : weighted[at].first);
  }
  return quantiles;
}

}  // namespace weir
