// TableSet: the rows of all tables for the virtual shards one owner holds: the whole of them in a local store, its
// share in a server. The one place where rows are read and trained.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/found_rows.h"
#include "embeddings/pull_kind.h"
#include "embeddings/row_layout.h"
#include "embeddings/table_spec.h"
#include "embeddings/table_stats.h"
#include "embeddings/virtual_shard.h"
#include "proto/job.pb.h"

namespace weir {

class DiskRows;
class OwnedTable;
class TablePolicy;
struct TableMemory;

// The gradients one worker pushes for one table in one step. Keys are distinct; spans live through the call.
struct TablePush {
  int table = 0;
  std::span<const uint64_t> keys;
  const float* gradients = nullptr;  // [keys.size(), dim], row-major
  const FoundRows* found = nullptr;  // by a pull of the same keys from the same set; null if it is not known
};

// What one owner of several has.
struct OwnerShare {
  std::string name = "local";  // of its folders on disk
  int num_shards = 0;          // virtual shards it holds, and its share of every table's memory; 0: all
};

// One owner thread, with one exception: the rows of different tables may be pulled and trained side by side, unless
// has_disk(). Tables with a disk need not fit in memory, and every call that reads rows can then fail; after an error
// other than AlreadyExists the set is of no more use.
class TableSet {
 public:
  // Opens the folders of tables with a disk; when one cannot be used, disk_status() and every later call say so.
  TableSet(std::vector<TableSpec> specs, int virtual_shards, const OwnerShare& share = {});
  ~TableSet();
  TableSet(const TableSet&) = delete;
  TableSet& operator=(const TableSet&) = delete;

  int num_tables() const { return static_cast<int>(specs_.size()); }
  const TableSpec& spec(int table) const { return specs_[table]; }
  int virtual_shards() const { return virtual_shards_; }
  bool has_disk() const { return !disks_.empty(); }
  const Status& disk_status() const { return disk_status_; }
  // In memory and on disk.
  int64_t num_rows(int table) const;
  // Bytes held in memory: index, rows and their records, admission filter, tombstones; with a disk, the cache's flags.
  int64_t bytes(int table) const;
  // Over all tables, their databases, what indexes may use again and blocks made ready.
  int64_t bytes() const;
  TableStats stats(int table) const;
  // What a table's limits remember. A commit saves it with the rows, and then forgets tombstones.
  const TablePolicy& policy(int table) const;
  TablePolicy* mutable_policy(int table);
  void ForgetTombstones();

  // Copies the weights of `keys` to rows [keys.size(), dim]. A key without a row gets its initial weights if the push
  // of `step` would bring its row, else what the table's admission says; a key of an evaluation gets none. Changes no
  // row; a training pull brings rows from disk into memory. found, unless null, is replaced by where the rows are; it is
  // empty for a table with a disk.
  Status Pull(int64_t step, PullKind kind, int table, std::span<const uint64_t> keys, float* rows,
              FoundRows* found = nullptr);
  // What a training pull will do, ahead of it: brings the rows of `keys` from disk into memory.
  Status Prefetch(int table, std::span<const uint64_t> keys);

  // Applies one step: pushes[w] are those of worker w, each at most once per table. Gradients of a key are summed in
  // worker order, missing rows are made, the optimizer's rule runs once per row, count grows by the number of workers
  // that pushed the key, last step becomes `step` (1-based, what schedules and Adam's bias correction see). The table's
  // limits then drop what they must. Steps rise. InvalidArgument: a new key stands twice in a push.
  // unix_ms: when the step was pushed, the same for all owners.
  Status Apply(int64_t step, std::span<const std::vector<TablePush>> pushes, int64_t unix_ms = 0);

  // What Apply is made of when there is one worker: its push for each table, then the end of the step.
  Status Train(int64_t step, const TablePush& push);
  void EndStep(int64_t step, int64_t unix_ms);

  // Calls `visit` with blocks of at most rows_max rows that cover every row of the virtual shards [shard_begin,
  // shard_end) of a table, by ascending virtual shard and, within one, key. A block lives until visit returns. Stops at
  // the first error and returns it.
  Status Scan(int table, int shard_begin, int shard_end, int64_t rows_max,
              const std::function<Status(const RowBlock&)>& visit) const;

  // Adds rows, values and state as they are. AlreadyExists when a key is there already: the table is then of no more
  // use, for some rows of the block are added.
  Status Load(int table, const RowBlock& block);

 private:
  struct Merge;

  Status OpenDisk(const std::string& path, const OwnerShare& share);
  // What a pull found, if it still is so.
  const FoundRows* Found(const TablePush& push) const;

  std::vector<TableSpec> specs_;
  int virtual_shards_;
  Status disk_status_;
  std::vector<std::unique_ptr<DiskRows>> disks_;  // outlive the tables
  std::unique_ptr<TableMemory> memory_;           // outlives the tables
  std::vector<std::unique_ptr<OwnedTable>> tables_;
  std::unique_ptr<Merge> merge_;  // scratch of Apply
};

}  // namespace weir
