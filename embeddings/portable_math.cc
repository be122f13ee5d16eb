#include "embeddings/portable_math.h"

#include <bit>
#include <cstdint>

namespace weir {
namespace {

constexpr double kLn2 = 0.6931471805599453;

}  // namespace

double PortableLog(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);  // [1, 2)
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  // ln m = 2 atanh(t), |t| <= 0.172: the first term left out is below 1e-17.
  const double t = (mantissa - 1) / (mantissa + 1);
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * t * t + 1.0 / k;
  return exponent * kLn2 + 2 * t * sum;
}

double PortableExp(double x) {
  const double turns = x / kLn2;
  const int exponent = static_cast<int>(turns + (turns < 0 ? -0.5 : 0.5));
  // In two parts, the first exact for any exponent: ln 2 = high + low.
  constexpr double kHigh = 0x1.62e42fefap-1, kLow = 0x1.cf79abc9e3b3ap-40;
  const double rest = (x - exponent * kHigh) - exponent * kLow;  // |rest| <= 0.347
  // Taylor's series: the first term left out is below 1e-18.
  double sum = 1;
  for (int k = 14; k >= 1; --k) sum = 1 + rest / k * sum;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
}

double PortableCosPi(double x) {
  // cos(pi x) = sin(y), y = pi (1/2 - x), |y| <= pi / 2; the first term of Taylor's series left out is below 1e-17.
  const double y = 3.141592653589793 * (0.5 - x);
  double sum = 1;
  for (int k = 11; k >= 1; --k) sum = 1 - y * y / (2 * k * (2 * k + 1)) * sum;
  return y * sum;
}

}  // namespace weir
