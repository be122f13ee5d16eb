// Table: the hash index and the rows of one embedding table. It knows keys and where a row's floats are, not what they
// mean: TableSet initialises and trains them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/random.h"
#include "embeddings/mapped_memory.h"
#include "embeddings/row_layout.h"

namespace weir {

// A row in a slab: this header, then its floats [layout.width()]: weights, then state.
struct Row {
  uint64_t key;
  int64_t last_step;
  uint64_t count;

  float* values() { return reinterpret_cast<float*>(this + 1); }
  const float* values() const { return reinterpret_cast<const float*>(this + 1); }
};

// Rows lie in slabs, in the order in which they were made, at `stride` bytes; they never move and are not allocated one
// by one. The index has one segment per virtual shard: an array of slots with linear probing, in which a slot holds the
// row's number and 32 bits of Fmix64(key), the shard's own bits left out. The top bits of those are the key's home, so
// a segment that doubles is refilled front to back without looking at a row, and no pause is longer than one shard's
// (1/1024 of the table by default). A segment is made when its first row is, so an owner of few shards pays for few.
//
// Every 64-bit value is a legal key. At most 2^32 - 1 rows. Not thread-safe; const methods may run side by side.
class Table {
 public:
  // Keys looked up side by side: enough misses in flight to hide memory's latency.
  static constexpr int kBatch = 32;

  // virtual_shards: a power of two.
  Table(const RowLayout& layout, int virtual_shards);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  int64_t num_rows() const { return num_rows_; }
  // Index, slabs as far as they hold rows, directory.
  int64_t bytes() const;

  // rows[i]: the row of keys[i], or null. A row's pointer stays good as long as the table.
  void Find(std::span<const uint64_t> keys, const Row** rows) const;

  // rows[i]: the row of keys[i], made if there was none; inserted[i] says so. A new row has its key, last step 0 and
  // count 0, and zeros as floats. A key may occur more than once.
  void FindOrInsert(std::span<const uint64_t> keys, Row** rows, bool* inserted);

  // All rows of a virtual shard by ascending key; `rows` is replaced.
  void ShardRows(int virtual_shard, std::vector<const Row*>* rows) const;

 private:
  // Low half: row number + 1, 0 for an empty slot; high half: the tag, 32 bits of the mixed key.
  using Slot = uint64_t;
  static constexpr int kMinLogCapacity = 3;  // one cache line

  // A segment in 8 bytes, so that the directory stays in the cache: slots are on cache lines, which leaves the low six
  // bits of their address for the logarithm of the capacity.
  struct Segment {
    uintptr_t packed = 0;
    Slot* slots() const { return reinterpret_cast<Slot*>(packed & ~uintptr_t{63}); }
    int log_capacity() const { return static_cast<int>(packed & 63); }
  };

  struct Probe {
    Slot* slots = nullptr;  // null when the segment was not made yet
    uint32_t tag = 0;
    uint32_t home = 0;
    uint32_t mask = 0;
    uint32_t shard = 0;
  };

  Probe MakeProbe(uint64_t key) const {
    const uint64_t hash = Fmix64(key);
    // Two shifts: shifting by 64 when there is one shard only is undefined.
    const auto shard = static_cast<uint32_t>(hash >> 1 >> (63 - log_shards_));
    const Segment segment = segments_[shard];
    const auto tag = static_cast<uint32_t>((hash << log_shards_) >> 32);
    const int log_capacity = segment.log_capacity();
    return {segment.slots(), tag, static_cast<uint32_t>(uint64_t{tag} >> (32 - log_capacity)),
            static_cast<uint32_t>((uint64_t{1} << log_capacity) - 1), shard};
  }

  Row* RowAt(uint32_t row) const {
    return reinterpret_cast<Row*>(slabs_[row >> log_slab_rows_].data() + (row & slab_mask_) * stride_);
  }
  // The first row from `home` on whose tag is the key's, or null: most often the one.
  Row* Candidate(const Probe& probe) const;
  Row* FindSlow(const Probe& probe, uint64_t key) const;
  Row* Insert(uint64_t key);
  Row* NewRow(uint64_t key);
  void Grow(uint32_t shard);
  void PrefetchRow(const Row* row) const;

  const int log_shards_;
  const size_t stride_;  // bytes from row to row
  int log_slab_rows_ = 0;
  uint32_t slab_mask_ = 0;
  int64_t num_rows_ = 0;
  int64_t index_bytes_ = 0;
  std::vector<Segment> segments_;       // [virtual shards]
  std::vector<uint32_t> segment_rows_;  // [virtual shards]
  std::vector<MappedMemory> slabs_;
};

}  // namespace weir
