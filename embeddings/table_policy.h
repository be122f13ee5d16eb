// TablePolicy: what the limits of a table make of the keys that come to one owner of it: admission, the byte budget,
// sweeps, tombstones, and the counts of all that.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/admission.h"
#include "embeddings/eviction.h"
#include "embeddings/step_times.h"
#include "embeddings/table.h"
#include "embeddings/table_limits.h"
#include "embeddings/table_stats.h"

namespace weir {

// Owned by the TableSet beside its table. All decisions are made per virtual shard from what that shard saw, and do not
// depend on the order of keys within a step. Not thread-safe.
class TablePolicy {
 public:
  // name: for messages. The table outlives the policy.
  TablePolicy(std::string name, const TableLimits& limits, const RowLayout& layout, uint64_t table_seed,
              int virtual_shards, Table* table);

  // False: every new key gets a row, and none is ever dropped, so that nothing of this needs to be asked.
  bool limits_rows() const { return admission_ != nullptr || rows_max_.has_value() || sweep_.active(); }

  // initial[i]: whether keys[i], which has no row, reads its initial row in the training pull of a step.
  void WouldAdmit(int64_t step, std::span<const uint64_t> keys, bool* initial) const;

  // Which of the step's keys that have no row get one: taken[i]. Makes room for them, never with rows of this step; so
  // all rows that have one must have been trained before. Keys are distinct, all of the step in one call; pushes[i]: by
  // how many workers.
  void TakeNew(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* taken);

  // Ends a step that began at unix_ms: drops what the sweep of it finds. Steps rise.
  void EndStep(int64_t step, int64_t unix_ms);

  // After rows were loaded: drops what the budget does not hold, if eviction.when_full allows it, else
  // FailedPrecondition.
  Status FitLoaded();

  // Keys of a virtual shard whose rows were dropped since the last commit and have none now, ascending. Nothing if they
  // became too many to remember: what follows the commit must then hold the shard whole.
  std::optional<std::vector<uint64_t>> Tombstones(int virtual_shard) const;
  // A commit has written them.
  void ForgetTombstones() { tombstones_.clear(); }

  // What outlives the process besides rows, as bytes (docs/formats.md): of the table, and of a virtual shard. Empty
  // where there is nothing.
  std::vector<uint8_t> Save() const;
  std::vector<uint8_t> SaveShard(int virtual_shard) const;
  // The other way round. DataLoss: not such bytes. A filter that was configured otherwise begins empty.
  Status Load(std::span<const uint8_t> bytes);
  Status LoadShard(int virtual_shard, std::span<const uint8_t> bytes);

  // Filter and tombstones.
  int64_t bytes() const;
  // Events only: rows and bytes are the table's.
  const TableStats& stats() const { return stats_; }

 private:
  struct ShardTombstones {
    std::vector<uint64_t> keys;
    bool too_many = false;
  };
  struct NewKey {
    int shard;
    uint64_t key;
    uint32_t index;
  };

  void Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* taken);
  void KeepBudget(int64_t step, std::span<const uint64_t> keys, bool* taken);
  // Rows of the shard whose last step is below `step`.
  void ListRows(int virtual_shard, int64_t step, bool with_norm);
  double NormOf(uint32_t row) const;
  void Drop(int virtual_shard, std::span<const EvictionRow> victims);
  void SweepShard(int virtual_shard, int64_t step, const SweepRule::Limits& limits);

  const std::string name_;
  const RowLayout layout_;
  const int virtual_shards_;
  Table* const table_;
  const EvictionConfig::WhenFull when_full_;
  const std::optional<int64_t> rows_max_;  // a virtual shard
  const int64_t tombstones_max_;           // a virtual shard
  const std::unique_ptr<Admission> admission_;
  const SweepRule sweep_;
  std::optional<StepTimes> times_;
  std::map<int, ShardTombstones> tombstones_;
  TableStats stats_;
  // Scratch.
  std::vector<int64_t> new_rows_;  // by virtual shard; zeros between calls
  std::vector<NewKey> new_keys_;
  std::vector<KeyIndex::Entry> entries_;
  std::vector<EvictionRow> rows_;
  std::vector<uint64_t> keys_;
};

}  // namespace weir
