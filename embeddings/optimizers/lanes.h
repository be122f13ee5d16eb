// SumInLanes: a sum over the columns of a row in an order that fills the registers of any instruction set.
#pragma once

namespace weir {

// Column i goes to lane i % 8; lanes are then added in pairs: 4 apart, 2 apart, 1 apart. The order does not depend on
// the processor. term(i) is the summand of column i.
template <typename Number, typename Dim, typename Term>
inline Number SumInLanes(Dim dim, const Term& term) {
  constexpr int kLanes = 8;
  Number lanes[kLanes] = {};
  const int tail = dim % kLanes;
  const int whole = dim - tail;
  for (int i = 0; i < whole; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = lanes[lane] + term(i + lane);
  }
  for (int lane = 0; lane < tail; ++lane) lanes[lane] = lanes[lane] + term(whole + lane);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] = lanes[lane] + lanes[lane + width];
  }
  return lanes[0];
}

}  // namespace weir
