// Jagged: the values of one multi-valued feature over the samples of a batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// Sample i owns values[offsets[i] .. offsets[i+1]). Invariants: offsets has one entry more than there are samples,
// starts at 0, never falls, and ends at values.size() < 2^31. A feature with a weight column has a weight for each
// value, any other has none.
struct Jagged {
  std::vector<uint64_t> values;
  std::vector<float> weights;  // [values], finite; or empty
  std::vector<int32_t> offsets = {0};

  int64_t num_samples() const { return static_cast<int64_t>(offsets.size()) - 1; }
  std::span<const uint64_t> sample(int64_t i) const {
    return std::span(values).subspan(offsets[i], offsets[i + 1] - offsets[i]);
  }
  // Ends the current sample: all values appended since the last call are its own.
  void EndSample() { offsets.push_back(static_cast<int32_t>(values.size())); }
  // Appends sample i of `from`, another one.
  void AppendSample(const Jagged& from, int64_t i) {
    const int32_t begin = from.offsets[i], end = from.offsets[i + 1];
    values.insert(values.end(), from.values.begin() + begin, from.values.begin() + end);
    if (!from.weights.empty()) weights.insert(weights.end(), from.weights.begin() + begin, from.weights.begin() + end);
    EndSample();
  }
  void Clear() {
    values.clear();
    weights.clear();
    offsets.assign(1, 0);
  }
};

}  // namespace weir
