// Table: the rows of one embedding table: an index from keys to row numbers, and the rows' weights and records in slabs
// (docs/tables.md). It knows where a row's numbers are, not what they mean: TableSet initialises and trains them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/isa.h"
#include "embeddings/key_index.h"
#include "embeddings/row_array.h"
#include "embeddings/row_layout.h"

namespace weir {

// What a table's memory comes from: one of each per owner.
struct TableMemory {
  SlabPool slabs;
  IndexMemory index{&slabs};

  // Of all tables and of what is cut up for indexes and free now.
  int64_t bytes() const { return slabs.bytes(); }
};

// What stands beside a row's weights; its state (float32, layout.state_width()) follows at once.
struct RowRecord {
  uint32_t last_step_low;
  uint32_t count_low;
  uint16_t last_step_high;
  uint16_t count_high;

  static constexpr int64_t kMax = (int64_t{1} << 48) - 1;

  int64_t last_step() const { return int64_t{last_step_high} << 32 | last_step_low; }
  uint64_t count() const { return uint64_t{count_high} << 32 | count_low; }
  // Values above kMax become it.
  void set_last_step(int64_t step) {
    const int64_t kept = step < kMax ? step : kMax;
    last_step_low = static_cast<uint32_t>(kept);
    last_step_high = static_cast<uint16_t>(kept >> 32);
  }
  void set_count(uint64_t count) {
    const uint64_t kept = count < uint64_t{kMax} ? count : uint64_t{kMax};
    count_low = static_cast<uint32_t>(kept);
    count_high = static_cast<uint16_t>(kept >> 32);
  }
  float* state() { return reinterpret_cast<float*>(this + 1); }
  const float* state() const { return reinterpret_cast<const float*>(this + 1); }
};
static_assert(sizeof(RowRecord) == 12);

// Rows are named by number; a row's number stays as long as the row, and its memory does not move. Every 64-bit value
// is a legal key; at most 2^32 - 1 rows. Not thread-safe; const methods may run side by side.
class Table {
 public:
  // Keys looked up side by side: enough misses in flight to hide memory's latency.
  static constexpr size_t kBatch = 32;
  // Told of batches [begin, begin + size) of keys that are found, in order, when their rows are in the cache.
  using Visit = std::function<void(size_t begin, size_t size)>;
  // What a look-up brings into the cache beside the weights.
  enum class Touch { kWeights, kWeightsAndRecord };

  // virtual_shards: a power of two. `memory` outlives the table.
  Table(const RowLayout& layout, int virtual_shards, TableMemory* memory, Isa isa = BestIsa());
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  int64_t num_rows() const { return index_.size(); }
  // Rows erased so far: while it does not change, each key that has a row keeps it.
  uint64_t num_erased() const { return num_erased_; }
  int64_t shard_rows(int virtual_shard) const { return index_.shard_size(virtual_shard); }
  // Index, weights and records as far as they hold or held rows.
  int64_t bytes() const;

  // float32 [dim] or bfloat16 [dim], by the layout.
  void* weights(uint32_t row) const { return weights_.At(row); }
  RowRecord* record(uint32_t row) const { return reinterpret_cast<RowRecord*>(records_.At(row)); }

  // Asks for a row's first lines to be brought into the cache.
  void Prefetch(uint32_t row) const {
    __builtin_prefetch(weights_.At(row));
    __builtin_prefetch(records_.At(row));
  }

  // rows[i]: the row of keys[i], or kNoRow. Best in batches of kBatch: what is found is on its way into the cache.
  void Find(std::span<const uint64_t> keys, uint32_t* rows, Touch touch, const Visit* visit = nullptr) const;

  // What Find does for keys whose rows are known, or kNoRow.
  void VisitRows(std::span<const uint32_t> rows, Touch touch, const Visit& visit) const;

  // rows[i]: the row of keys[i], made if there was none; inserted[i] says so. A new row's weights and record are zeros.
  // A key may occur more than once.
  void FindOrInsert(std::span<const uint64_t> keys, uint32_t* rows, bool* inserted);

  // The row of a new key, zeroed; kNoRow if the key is there already.
  uint32_t Insert(uint64_t key);

  // How many of the keys were there. Their rows' numbers are given to the next new rows.
  int64_t Erase(std::span<const uint64_t> keys);

  // Makes room for `rows` evenly hashed keys in all.
  void Reserve(int64_t rows);

  // All rows of a virtual shard by ascending key; `entries` is replaced.
  void ShardEntries(int virtual_shard, std::vector<KeyIndex::Entry>* entries) const {
    index_.ShardEntries(virtual_shard, entries);
  }

 private:
  // The number that the next new row gets, its memory there.
  uint32_t NextRow();
  // Zeroes the row that NextRow named and gives it out.
  void TakeRow(uint32_t row);
  template <typename Match>
  void InsertMissing(std::span<const uint64_t> keys, uint32_t* rows, bool* inserted);
  static void InsertMissingScalar(Table* table, std::span<const uint64_t> keys, uint32_t* rows, bool* inserted);
  static void InsertMissingAvx2(Table* table, std::span<const uint64_t> keys, uint32_t* rows, bool* inserted);
  static void InsertMissingAvx512(Table* table, std::span<const uint64_t> keys, uint32_t* rows, bool* inserted);

  const RowLayout layout_;
  const Isa isa_;
  KeyIndex index_;
  RowArray weights_;
  RowArray records_;
  uint32_t rows_made_ = 0;  // numbers given out so far
  uint64_t num_erased_ = 0;
  uint32_t free_row_ = kNoRow;  // the last freed number; its record holds the one freed before it
};

}  // namespace weir
