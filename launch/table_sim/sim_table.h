// SimTable: one table under one policy, without training.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "embeddings/distinct.h"
#include "embeddings/table_set.h"
#include "launch/table_sim/step_keys.h"

namespace weir {

// What became of looked-up values, summed over steps.
struct ValueCounts {
  int64_t values = 0;
  int64_t hits = 0;      // found a row
  int64_t rejected = 0;  // had no row even after their step was trained
  void Add(const ValueCounts& other) {
    values += other.values;
    hits += other.hits;
    rejected += other.rejected;
  }
};

// A real TableSet of one table, so that what is simulated is what trains, but with rows of one weight: it starts at 0
// and every training adds 1 to it, so that a weight read tells whether its key has a row. Row limits and memory are
// those of the rows that the job would have. One thread.
class SimTable {
 public:
  // spec: as the job has it, with the policy; without a disk.
  SimTable(const TableSpec& spec, int virtual_shards);

  // Looks up and trains the keys of one step, one entry per worker. Steps rise by one from 1.
  ValueCounts Step(int64_t step, std::span<const WorkerKeys> workers);

  int64_t rows() const { return tables_.num_rows(0); }
  // Index, rows with their state, filter.
  int64_t bytes() const;
  int64_t rows_made() const { return rows_made_; }
  int64_t rows_evicted() const { return rows_made_ - rows(); }

 private:
  // Weights of `keys` into weights_.
  void Pull(int64_t step, std::span<const uint64_t> keys);
  void AddMiss(uint64_t key, int64_t values);

  TableSet tables_;
  const int64_t row_bytes_more_;  // than a row of one weight has
  int64_t rows_made_ = 0;
  int64_t rows_max_ = 0;  // so far: rows that go leave their memory to others
  std::vector<float> weights_;
  std::vector<float> gradients_;  // all -1: adds 1 to a weight
  DistinctKeys missed_;           // of this step, over all workers
  std::vector<int64_t> missed_values_;
  std::vector<std::vector<TablePush>> pushes_;
};

}  // namespace weir
