// How weights and gradients travel: as float32, bfloat16 or float16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/isa.h"
#include "proto/job.pb.h"

namespace weir {

// Bytes of one value.
inline size_t WireValueBytes(WireConfig::Type type) { return type == WireConfig::FLOAT32 ? 4 : 2; }

// n values as they stand in a message. bfloat16: the nearest, ties to even. float16: the nearest, where a finite value
// beyond +-65,504 becomes that. NaN stays NaN and infinity infinity. The same bits with every instruction set.
void EncodeValues(WireConfig::Type type, const float* from, size_t n, uint8_t* to, Isa isa = BestIsa());
// Exact.
void DecodeValues(WireConfig::Type type, const uint8_t* from, size_t n, float* to, Isa isa = BestIsa());
// What decoding gives back of them: for values that do not travel and must be like those that do.
void RoundValues(WireConfig::Type type, size_t n, float* values);

}  // namespace weir
