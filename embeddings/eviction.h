// Eviction: which rows of a virtual shard are dropped, and how many it may have.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/step_times.h"
#include "proto/job.pb.h"

namespace weir {

// What eviction sees of a row.
struct EvictionRow {
  uint64_t key = 0;
  int64_t last_step = 0;
  uint64_t count = 0;
  double square_norm = 0;  // of the weights; only where the policy asks for it
};

// Sum of squares in a fixed order, in double: the same bits everywhere.
double SquareNorm(std::span<const float> weights);

// Puts the n rows to be dropped first, ascending: the lowest by the policy (last step, count or norm), ties by key.
// Keys are distinct; `when_full` is not REFUSE.
void SelectVictims(EvictionConfig::WhenFull when_full, int64_t n, std::span<EvictionRow> rows);

// How many rows to drop for `new_rows` more in a virtual shard that may have rows_max and has `rows`, of which
// `droppable` may go: 1/16 of rows_max at a time, so that it is not done for every new row. The caller refuses the new
// rows that still do not fit.
int64_t RowsToDrop(int64_t rows_max, int64_t rows, int64_t droppable, int64_t new_rows);

// Which rows time and norm drop. Immutable.
class SweepRule {
 public:
  explicit SweepRule(const EvictionConfig& config);

  // Whether anything is ever dropped by it.
  bool active() const { return ttl_steps_ > 0 || ttl_s_ > 0 || min_norm_ > 0; }
  bool by_seconds() const { return ttl_s_ > 0; }
  bool by_norm() const { return min_norm_ > 0; }
  double ttl_s() const { return ttl_s_; }

  // The virtual shards v of [0, virtual_shards) whose turn is at `step`: v mod every_steps = step mod every_steps.
  std::vector<int> ShardsAt(int64_t step, int virtual_shards) const;

  enum class Verdict { kKeep, kExpired, kSmallNorm };
  // What a sweep at a step compares rows with.
  struct Limits {
    int64_t expired_step = -1;   // rows whose last step is not above it are dropped
    int64_t norm_step = -1;      // rows whose last step is not above it are dropped if their norm is small
    double square_norm_min = 0;  // smaller ones are
  };
  // times: null unless by_seconds().
  Limits LimitsAt(int64_t step, const StepTimes* times) const;
  static Verdict Judge(const Limits& limits, const EvictionRow& row) {
    if (row.last_step <= limits.expired_step) return Verdict::kExpired;
    if (row.last_step <= limits.norm_step && row.square_norm < limits.square_norm_min) return Verdict::kSmallNorm;
    return Verdict::kKeep;
  }

 private:
  const int64_t ttl_steps_;
  const double ttl_s_;
  const double min_norm_;
  const int64_t every_steps_;
};

// What a byte budget is divided by.
struct BudgetTerms {
  int64_t memory_bytes = 0;  // over all owners
  int64_t filter_bytes = 0;  // of them, for admission
  int64_t weight_bytes = 0;  // a row
  int64_t record_bytes = 0;  // a row: last step, count, state
  int virtual_shards = 0;
};

// The most rows a virtual shard may have, such that all shards at that number fit the budget with the index at its
// worst (docs/tables.md): a segment that has just doubled, pages and blocks that have just begun. 1/32 of the memory is
// kept for blocks that several owners begin. 0 when not a row a shard fits.
int64_t ShardRowsMax(const BudgetTerms& terms);
// Bytes of a table with so many rows in every virtual shard, at worst.
int64_t WorstTableBytes(const BudgetTerms& terms, int64_t shard_rows);

}  // namespace weir
