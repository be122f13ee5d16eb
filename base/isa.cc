#include "base/isa.h"

namespace weir {
namespace {

Isa Detect() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw")) {
    return Isa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2")) return Isa::kAvx2;
#endif
  return Isa::kScalar;
}

}  // namespace

Isa BestIsa() {
  static const Isa best = Detect();
  return best;
}

std::vector<Isa> KnownIsas() {
  std::vector<Isa> known = {Isa::kScalar};
  if (BestIsa() >= Isa::kAvx2) known.push_back(Isa::kAvx2);
  if (BestIsa() >= Isa::kAvx512) known.push_back(Isa::kAvx512);
  return known;
}

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "AVX2";
    case Isa::kAvx512:
      return "AVX-512";
  }
  return "unknown";
}

}  // namespace weir
