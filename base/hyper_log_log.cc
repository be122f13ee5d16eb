#include "base/hyper_log_log.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

namespace weir {
namespace {

// The sums of Ertl's estimator, added up until nothing changes.
double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double power = 1, sum = x, before = -1;
  while (sum != before) {
    x *= x;
    before = sum;
    sum += x * power;
    power += power;
  }
  return sum;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double power = 1, sum = 1 - x, before = -1;
  while (sum != before) {
    x = std::sqrt(x);
    before = sum;
    power /= 2;
    sum -= (1 - x) * (1 - x) * power;
  }
  return sum / 3;
}

}  // namespace

void HyperLogLog::Add(uint64_t hash) {
  const uint64_t index = hash >> (64 - kIndexBits);
  // A one below the bits that are left ends the zeros.
  const uint64_t rest = hash << kIndexBits | uint64_t{1} << (kIndexBits - 1);
  registers_[index] = std::max(registers_[index], static_cast<uint8_t>(std::countl_zero(rest) + 1));
}

double HyperLogLog::Estimate() const {
  constexpr int kMost = 64 - kIndexBits;  // bits that may be zeros
  constexpr double kCount = kRegisters;
  std::array<int, kMost + 2> with_value{};  // registers that hold it
  for (const uint8_t value : registers_) ++with_value[value];
  double sum = kCount * Tau(1 - with_value[kMost + 1] / kCount);
  for (int value = kMost; value >= 1; --value) sum = (sum + with_value[value]) / 2;
  sum += kCount * Sigma(with_value[0] / kCount);
  return kCount * kCount / (2 * std::numbers::ln2 * sum);
}

}  // namespace weir
