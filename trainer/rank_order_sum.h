// The arithmetic that all collectives share, so that they give the same bits: values are added in rank order, and each
// rank adds one slice of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir {

// Slice r of count values over size ranks is [SliceBegin(count, r, size), SliceBegin(count, r + 1, size)): lengths
// differ by one at most.
constexpr int64_t SliceBegin(int64_t count, int rank, int size) {
  return count / size * rank + count % size * rank / size;
}

// into[i] += values[i]; both [n]. Plain additions, whatever the width of the machine's vectors: the same bits
// everywhere.
void AddInto(std::span<float> into, std::span<const float> values);
void AddInto(std::span<double> into, std::span<const double> values);

}  // namespace weir
