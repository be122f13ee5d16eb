// StochasticRounding: trained weights to bfloat16, by draws that are a pure function of (table seed, key, step,
// column).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/random.h"
#include "embeddings/bfloat16.h"

namespace weir {

// Column c of a key takes bits 16 * (c % 4) and up of
//   RandomBits(RandomBits(table seed, kRounding, step), kRounding, key, c / 4).
// One per optimizer; used by its thread.
class StochasticRounding {
 public:
  explicit StochasticRounding(uint64_t table_seed) : table_seed_(table_seed) { BeginStep(0); }

  void BeginStep(int64_t step) {
    step_seed_ = RandomBits(table_seed_, RandomPurpose::kRounding, static_cast<uint64_t>(step));
  }

  // from: [dim]; to: [dim] bfloat16, aligned to 2 bytes.
  template <typename Dim>
  void Store(Dim dim, uint64_t key, const float* __restrict from, void* to) const {
    uint16_t* __restrict values = static_cast<uint16_t*>(to);
    const int whole = dim / kColumns * kColumns;
    // Unrolled, the half of each draw that depends on the column alone is a constant.
#pragma GCC unroll 8
    for (int begin = 0; begin < whole; begin += kColumns) {
      const Draws draws = Draw(key, begin);
      for (int i = 0; i < kColumns; ++i) values[begin + i] = RoundToBfloat16(from[begin + i], draws.of_column[i]);
    }
    if (whole == dim) return;
    const Draws draws = Draw(key, whole);
    for (int i = 0; i < dim - whole; ++i) values[whole + i] = RoundToBfloat16(from[whole + i], draws.of_column[i]);
  }

 private:
  static constexpr int kColumns = 16;  // rounded at a time: a register of AVX-512

  struct Draws {
    uint16_t of_column[kColumns];
  };

  Draws Draw(uint64_t key, int begin) const {
    uint64_t bits[kColumns / 4];
    for (int i = 0; i < kColumns / 4; ++i) {
      bits[i] = RandomBits(step_seed_, RandomPurpose::kRounding, key, static_cast<uint64_t>(begin / 4 + i));
    }
    Draws draws;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&draws, bits, sizeof(bits));
    } else {
      for (int i = 0; i < kColumns; ++i) draws.of_column[i] = static_cast<uint16_t>(bits[i / 4] >> (16 * (i % 4)));
    }
    return draws;
  }

  uint64_t table_seed_;
  uint64_t step_seed_ = 0;
};

}  // namespace weir
