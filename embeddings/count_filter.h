// CountFilter: how often keys without a row were pushed lately, in bounded memory, never too low.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"

namespace weir {

// A blocked count-min sketch (Cormode and Muthukrishnan, 2005) per virtual shard, with the conservative update (Estan
// and Varghese, 2002): a key has one cache line, in which four generations of counters stand side by side, and four
// counters in each. A generation is a quarter of the window; the oldest is forgotten as the next begins, so that
// between three and four quarters count. Without a window one generation has the whole line and forgets nothing.
//
// Counts stop at 255. What a shard holds follows from the pushes it saw alone, and not from the order of keys within a
// step. Shards take memory when first counted in. Not thread-safe; const methods may run side by side.
class CountFilter {
 public:
  static constexpr int64_t kLineBytes = 64;

  // shard_bytes: at least a line; window_steps: 0, or at least 4. virtual_shards: a power of two.
  CountFilter(int64_t shard_bytes, int64_t window_steps, int virtual_shards);

  // estimates[i]: the pushes of keys[i] within the window before those of `step` are added: at least the true number,
  // or at least 255.
  void Estimate(int64_t step, std::span<const uint64_t> keys, uint32_t* estimates) const;

  // Adds the pushes of `step`: keys distinct, all of the step in one call; pushes[i] of keys[i]. estimates[i] as above.
  // Steps never fall.
  void Add(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, uint32_t* estimates);

  int64_t bytes() const;

  // A shard's counts as bytes, appended; none when it never counted.
  void SaveShard(int virtual_shard, std::vector<uint8_t>* bytes) const;
  // The other way round. DataLoss: not such bytes. FailedPrecondition: of a filter of another size or window.
  Status LoadShard(int virtual_shard, std::span<const uint8_t> bytes);

 private:
  struct Shard {
    int64_t generation = -1;           // of the last Add
    std::unique_ptr<uint8_t[]> cells;  // [lines_ * kLineBytes]; null until it counts
  };
  // A key's place: its shard, its line and its cells within a generation.
  struct Place {
    int shard;
    int64_t line_begin;
    uint8_t cells[4];
  };

  Place PlaceOf(uint64_t key) const;
  int64_t GenerationOf(int64_t step) const {
    return quarter_steps_ == 0 ? 0 : (step > 0 ? step - 1 : 0) / quarter_steps_;
  }
  // The first cell of a generation within a line.
  int Offset(int64_t generation) const { return static_cast<int>(generation % generations_) * cells_; }
  uint32_t EstimateAt(const Place& place, int64_t generation) const;
  void Advance(Shard* shard, int64_t generation) const;

  const int virtual_shards_;
  const int generations_;        // 4, or 1 without a window
  const int cells_;              // of a generation in a line: 16 or 64
  const int64_t quarter_steps_;  // of the window, rounded up; 0 without one
  const int64_t lines_;          // a shard
  std::vector<Shard> shards_;    // [virtual_shards]
  std::vector<Place> places_;    // scratch of Add
};

}  // namespace weir
