// OwnedTable: one table of an owner: its rows, how they begin and how they learn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "embeddings/found_rows.h"
#include "embeddings/initializer.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/pull_kind.h"
#include "embeddings/row_cache.h"
#include "embeddings/table.h"
#include "embeddings/table_policy.h"
#include "embeddings/table_spec.h"
#include "embeddings/table_stats.h"

namespace weir {

// One thread at a time; tables of one owner may be used side by side as TableSet says.
class OwnedTable {
 public:
  // memory: the owner's, outlives the table.
  OwnedTable(const TableSpec& spec, int virtual_shards, TableMemory* memory);
  ~OwnedTable();

  // Makes what is in memory the cache of a larger table (docs/tables.md, "Disk tier"), before the first row. The disk
  // outlives the table.
  void SetDisk(DiskRows* disk, int disk_table, int64_t rows_max);

  const Table& table() const { return table_; }
  int64_t num_rows() const { return cache_ ? cache_->num_rows() : table_.num_rows(); }
  int64_t bytes() const { return table_.bytes() + policy_.bytes() + (cache_ ? cache_->bytes() : 0); }
  const TablePolicy& policy() const { return policy_; }
  TablePolicy* mutable_policy() { return &policy_; }
  void AddDiskStats(TableStats* stats) const;

  // Whether rows that a pull of `keys` keys found are still where they were.
  bool StillHas(const FoundRows& found, size_t keys) const {
    return !cache_ && found.rows.size() == keys && found.num_erased == table_.num_erased();
  }

  // See TableSet. With a disk, a training pull brings the rows that it finds there into memory. Only a disk can fail.
  Status Pull(int64_t step, PullKind kind, std::span<const uint64_t> keys, float* rows, FoundRows* found);
  // Brings the rows of `keys` into memory that are on disk: what a training pull will do.
  Status Prefetch(std::span<const uint64_t> keys);

  // One step on distinct keys: rows that are there first, then those that must be made, as far as the limits allow.
  // gradients: [keys.size(), dim], summed over workers; workers[i] is how many pushed keys[i], null for one each.
  // found: rows of the keys that it StillHas, or null. Only a disk can fail.
  Status Train(int64_t step, std::span<const uint64_t> keys, const float* gradients, const uint32_t* workers,
               const FoundRows* found);

  // See TableSet.
  Status Scan(int shard_begin, int shard_end, int64_t rows_max,
              const std::function<Status(const RowBlock&)>& visit) const;
  Status Load(const RowBlock& block);

 private:
  struct Step;  // the arguments of Train

  RowRef RefTo(const Step& step, size_t i, uint32_t row);
  void TrainFound(const Step& step, size_t begin, size_t end);
  // Trains rows of any keys of the step: places[i] is the key's, refs_[i] the row.
  void TrainRefs(const Step& step, std::span<const uint32_t> places);
  Status TrainMissing(const Step& step);
  Status MakeRows(const Step& step, std::span<const uint32_t> missing);
  // The keys at missing_: rows of the disk, or new ones.
  Status PullMissing(int64_t step, PullKind kind, std::span<const uint64_t> keys, float* rows);
  // What keys without a row read; places: theirs among `keys`.
  void PullNew(int64_t step, PullKind kind, std::span<const uint64_t> keys, std::span<const uint32_t> places,
               float* rows);
  // Leaves those of the keys at missing_ that get rows.
  void TakeNew(const Step& step);
  bool* Flags(size_t n);
  template <typename Visit>
  Status ForEachInShard(int virtual_shard, Visit&& visit) const;
  void InitializeRow(uint64_t key, uint32_t row);
  // Weights as a block has them.
  void ReadWeights(const void* weights, float* to) const;
  void WriteWeights(const float* from, void* weights) const;
  // What a new row of the key weighs, as it reads once it was stored.
  void InitialWeights(uint64_t key, float* to) const;

  const TableSpec spec_;
  const int virtual_shards_;
  Table table_;
  TablePolicy policy_;
  std::unique_ptr<RowCache> cache_;  // null without a disk
  std::unique_ptr<RowInitializer> initializer_;
  std::unique_ptr<RowOptimizer> optimizer_;
  std::vector<float> initial_state_;         // [state_width]
  std::vector<float> not_admitted_weights_;  // [dim], what all keys read that get no row; empty: each its initial ones
  // Kept from call to call for their memory.
  std::vector<uint32_t> rows_;
  std::vector<RowRef> refs_;
  std::vector<uint32_t> missing_;
  std::vector<uint64_t> missing_keys_;
  std::vector<uint32_t> missing_rows_;
  std::vector<uint32_t> fetched_;
  std::vector<float> missing_gradients_;
  std::vector<float> initial_weights_;
  std::vector<uint32_t> pushes_;
  std::unique_ptr<bool[]> flags_;
  size_t flags_size_ = 0;
};

}  // namespace weir
