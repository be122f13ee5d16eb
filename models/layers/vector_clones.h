// WEIR_VECTOR_CLONES before a function compiles it for each width of vector registers; the widest that the processor
// has is chosen when the program is loaded. The loops under it add in an order that does not depend on the width, so
// that all clones give the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WEIR_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define WEIR_VECTOR_CLONES
#endif
