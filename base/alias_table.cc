#include "base/alias_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <glog/logging.h>

namespace weir {

AliasTable::AliasTable(std::span<const double> weights) : cells_(weights.size()) {
  CHECK_LT(weights.size(), uint64_t{1} << 32);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  CHECK(std::isfinite(sum) && sum > 0) << sum;
  const double mean = sum / static_cast<double>(weights.size());
  std::vector<double> left(weights.size());  // in cells
  std::vector<uint32_t> small, large;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    left[i] = weights[i] / mean;
    (left[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t filled = small.back(), filler = large.back();
    small.pop_back();
    cells_[filled] = {static_cast<uint32_t>(left[filled] * 0x1p32), filler};
    left[filler] -= 1 - left[filled];
    if (left[filler] < 1) {
      large.pop_back();
      small.push_back(filler);
    }
  }
  // What rounding left over fills its cell alone.
  for (const std::vector<uint32_t>& rest : {small, large}) {
    for (const uint32_t i : rest) cells_[i] = {0, i};
  }
}

}  // namespace weir
