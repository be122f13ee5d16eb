// Functions of libm whose last bits differ between processors and versions, by additions, multiplications and divisions
// alone: the same bits everywhere. Accurate to a few units in the last place.
#pragma once

namespace weir {

// ln(x), for normal x > 0.
double PortableLog(double x);

// e^x, for x in [-700, 700].
double PortableExp(double x);

// cos(pi * x), for x in [0, 1].
double PortableCosPi(double x);

}  // namespace weir
