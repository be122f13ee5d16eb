// Isa: which vector instructions a kernel may use. Kernels take it as an argument, so that a test runs all that the
// processor has, and give the same bits with each.
#pragma once

#include <vector>

namespace weir {

enum class Isa { kScalar, kAvx2, kAvx512 };

// The widest that this processor has; asks once.
Isa BestIsa();
// Those that this processor has, kScalar first.
std::vector<Isa> KnownIsas();
const char* IsaName(Isa isa);

// A function marked so is compiled for that set; everything it calls is inlined, so that one body serves all three.
#if defined(__x86_64__)
#define WEIR_TARGET_AVX2 __attribute__((target("arch=x86-64-v3"), flatten))
#define WEIR_TARGET_AVX512 \
  __attribute__((target("arch=x86-64-v4,prefer-vector-width=512"), flatten))
#else
#define WEIR_TARGET_AVX2
#define WEIR_TARGET_AVX512
#endif

}  // namespace weir
