// RowCache: makes a Table the memory of a larger one whose other rows are on disk (docs/tables.md, "Disk tier").
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "embeddings/disk_rows.h"
#include "embeddings/row_layout.h"
#include "embeddings/table.h"

namespace weir {

// A row is in memory, on disk, or both; what is in memory counts. Where a row is decides nothing else, so which rows
// leave memory need not be the same from run to run: the hand goes from virtual shard to virtual shard, and of the one
// it comes to the half of the rows leaves that was trained the longest ago and is not awaited. So rows go to the disk
// by shard and key, and the files of one round of the hand do not overlap. Rows that the disk has as they are, are only
// dropped.
//
// Row numbers are good until the next call of MakeRoom or Fetch. One owner thread. An error of the disk leaves all rows
// where they were, and the owner of no more use.
class RowCache {
 public:
  // Rows fetched at once at most.
  static constexpr size_t kFetchRowsMax = 4096;

  // At most rows_max rows are in memory (at least kRowsMin). Table and disk outlive the cache; disk_table is the
  // table's number there.
  RowCache(const RowLayout& layout, int virtual_shards, int64_t rows_max, Table* table, DiskRows* disk, int disk_table);

  static constexpr int64_t kRowsMin = 64;
  // The rows of a layout that fit memory_bytes: weights, records, index at its emptiest, rounding to pages, and our
  // own.
  static int64_t RowsWithin(int64_t memory_bytes, const RowLayout& layout);
  // Keys that may be given to Fetch at once.
  size_t fetch_rows_max() const { return fetch_rows_max_; }

  // In memory or on disk.
  int64_t num_rows() const { return table_->num_rows() + disk_only_; }
  int64_t bytes() const { return static_cast<int64_t>(flags_.capacity()); }

  // Drops rows from memory, those the disk does not have as they are after writing them, until `rows` more fit.
  Status MakeRoom(int64_t rows);

  // keys: at most fetch_rows_max(), distinct, none in memory. Makes room for all of them and brings those that the disk
  // has into memory: rows[i] is their number, kNoRow for the others.
  Status Fetch(std::span<const uint64_t> keys, uint32_t* rows);

  // Calls found(i, row) for those of `keys`, none in memory, that the disk has; memory stays as it is.
  Status Read(std::span<const uint64_t> keys, const std::function<void(size_t, const DiskRow&)>& found) const;

  // A pull of a training step wants the row, which its push will train: it should stay until then.
  void Await(uint32_t row) {
    uint8_t& flags = FlagsOf(row);
    memory_hits_ += (flags & kAwaited) == 0;
    flags |= kAwaited;
  }
  // The row, in memory already, was changed.
  void Trained(uint32_t row) {
    uint8_t& flags = FlagsOf(row);
    memory_hits_ += (flags & kAwaited) == 0;
    flags = static_cast<uint8_t>((flags | kDirty) & ~kAwaited);
  }
  // The row is new.
  void Inserted(uint32_t row) { FlagsOf(row) = kDirty; }

  // Calls visit(row) for every row of a virtual shard by ascending key, until the first error, which is returned.
  Status Scan(int virtual_shard, const std::function<Status(const DiskRow&)>& visit) const;

  // Of keys that had a row when a step first wanted it: it was in memory, or came from disk.
  int64_t memory_hits() const { return memory_hits_; }
  int64_t disk_hits() const { return disk_hits_; }
  // Rows that are not in memory, and the bytes of all on disk.
  int64_t disk_rows() const { return disk_only_; }
  int64_t disk_bytes() const { return disk_->disk_bytes(disk_table_); }

 private:
  // By row number; all 0 for numbers that no row has.
  enum Flags : uint8_t {
    kDirty = 1,    // the disk does not have the row as it is
    kAwaited = 2,  // a training pull asked for it, the push has not come yet
  };
  struct Victim {
    int64_t last_use;
    uint32_t entry;  // in entries_
  };

  uint8_t& FlagsOf(uint32_t row) {
    if (row >= flags_.size()) flags_.resize(row + 1);
    return flags_[row];
  }
  DiskRow View(uint64_t key, uint32_t row) const;
  uint32_t Take(const DiskRow& row);
  Status DropHalf(int virtual_shard);
  void ChooseVictims();

  const RowLayout layout_;
  const int virtual_shards_;
  const int64_t rows_max_;
  const size_t fetch_rows_max_;
  Table* const table_;
  DiskRows* const disk_;
  const int disk_table_;
  std::vector<uint8_t> flags_;  // by row number
  int64_t disk_only_ = 0;       // rows on disk that are not in memory
  int64_t memory_hits_ = 0;
  int64_t disk_hits_ = 0;
  int hand_ = 0;  // the virtual shard that rows leave next
  // Scratch of DropHalf.
  std::vector<KeyIndex::Entry> entries_;
  std::vector<Victim> victims_;
  std::vector<uint32_t> leaving_;  // positions in entries_, ascending
  std::vector<DiskRow> writes_;
  std::vector<uint64_t> keys_;
};

}  // namespace weir
