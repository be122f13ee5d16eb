// DiskRows: rows of tables in a RocksDB database, for the part of a table that memory cannot hold.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weir {

// One row as the disk has it. Views: who hands one out says how long they live. State may lie at any address, and what
// is put may wholly; weights that are handed out are aligned to 4 bytes.
struct DiskRow {
  uint64_t key = 0;
  int64_t last_step = 0;
  uint64_t count = 0;
  const void* weights = nullptr;  // [weight_bytes] of its table, as the table stores them
  const void* state = nullptr;    // [state_bytes] of its table
};

struct DiskTable {
  std::string name;  // for messages
  int weight_bytes = 0;
  int state_bytes = 0;
};

struct DiskRowsOptions {
  std::string path;   // the folder that the job names
  std::string owner;  // the subfolder; "OWNER.1" and so on when another process uses it
  int virtual_shards = 1;
  // All that this may hold in memory: filters, index blocks, cached blocks, rows on their way to the disk. At least
  // kMemoryMinBytes is taken.
  int64_t memory_bytes = 0;
  std::vector<DiskTable> tables;
};

// The folder is scratch: nothing in it outlives this object, so there is no log and nothing waits for the disk to
// have it. It is emptied at Open when its marker file says that it is ours, locked while it is used, and removed by
// the destructor.
//
// A key is (table, virtual shard, key), big-endian, so that rows of a shard lie together by ascending key; a value is
// last step, count, weights and state, of one size per table, checked on every read. A filter over all keys ever put,
// in memory, spares keys that are new the look into the database; the database has filters of its own, one per file.
// Files are merged in the background, runs of similar size together, so that a row is written about 1 + log4(all rows /
// rows in memory) times.
//
// One owner thread, and up to three background threads that all databases of the process share. Errors: the disk is
// full (ResourceExhausted), other failures of files (Internal), bytes that are not those written (DataLoss); they name
// the folder and the table. A row that was put is held in memory until a file has it, so a failure in the background
// loses nothing, and the next Put says of it.
class DiskRows {
 public:
  static constexpr int64_t kMemoryMinBytes = 1 << 20;

  // FailedPrecondition when the subfolder holds files but not our marker.
  static Result<std::unique_ptr<DiskRows>> Open(DiskRowsOptions options);
  ~DiskRows();
  DiskRows(const DiskRows&) = delete;
  DiskRows& operator=(const DiskRows&) = delete;

  // Adds or replaces. Any number of rows; quickest by ascending virtual shard and key. On an error some rows may be
  // there; putting them again does no harm.
  Status Put(int table, std::span<const DiskRow> rows);

  // Calls found(i, row) for each keys[i] that is there, once for each time it occurs, in no particular order. The row
  // lives until found returns.
  Status Get(int table, std::span<const uint64_t> keys, const std::function<void(size_t, const DiskRow&)>& found);

  // Keys that are not there are passed over.
  Status Erase(int table, std::span<const uint64_t> keys);

  // Walks over the rows of one virtual shard of one table by ascending key, as they were when it was made.
  class Cursor {
   public:
    virtual ~Cursor() = default;
    // False after the last row. The row lives until the next call.
    virtual Result<bool> Next(DiskRow* row) = 0;
  };
  // The cursor must not outlive this object.
  std::unique_ptr<Cursor> Scan(int table, int virtual_shard) const;

  // Bytes of the files of a table, about.
  int64_t disk_bytes(int table) const;
  // Bytes held in memory; at most options.memory_bytes, but for a few blocks in use.
  int64_t memory_bytes() const;
  const std::string& folder() const;

 private:
  class Database;
  explicit DiskRows(std::unique_ptr<Database> database);

  std::unique_ptr<Database> database_;
};

}  // namespace weir
