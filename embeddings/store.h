// EmbeddingStore: the seam between the training step and where rows live. local_store (this process) and remote_store
// (parameter servers) are interchangeable and, in sync mode, give the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/pull_kind.h"
#include "embeddings/server_load.h"
#include "embeddings/table_set.h"
#include "embeddings/table_stats.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// What a worker wants of one table: the weights of `keys` (distinct), copied to `rows`.
struct TablePull {
  int table = 0;
  std::span<const uint64_t> keys;
  float* rows = nullptr;  // [keys.size(), dim], row-major
};

// Names a pull that was started; 0 is none.
using PullTicket = uint64_t;

struct StoreStats {
  int64_t rows = 0;                // over all tables and owners
  int64_t bytes = 0;               // table memory over all owners
  std::vector<TableStats> tables;  // by table, over all owners
  // Rows of training pulls by the number of steps before the pull's that they did not see, over all owners; empty for a
  // local store, where it is always none.
  std::vector<int64_t> rows_by_staleness;
  std::vector<ServerLoad> servers;  // by index; empty for a local store
  int64_t bytes_sent = 0;           // by this worker, on the wire; 0 for a local store
  int64_t bytes_received = 0;
  int64_t messages_sent = 0;
  int64_t keys_from_cache =
      0;  // pulled by this worker, their rows not: copies that it keeps of hot ones stood for them
};

// One per worker; used by one thread at a time. Every wait has the deadlines of the job's cluster section. After an
// error other than InvalidArgument the store is of no more use: the job ends.
class EmbeddingStore {
 public:
  virtual ~EmbeddingStore() = default;

  // Begins to fetch the rows of step `step`, all tables of a batch in one call (each table at most once). The rows seen
  // are those after all workers' pushes of the steps before `step`, and no later one's, in synchronous mode; else see
  // docs/consistency.md. Rows must live until Finish, keys too; a training pull's keys must be left as they are until
  // its step is pushed, if the push names the same ones. Steps are 1-based and, for training pulls, each is pulled
  // once, in order. Never changes a table.
  virtual Result<PullTicket> StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables) = 0;

  // Waits for a pull; its rows are then filled.
  virtual Status FinishPull(PullTicket ticket) = 0;

  // Gives up a pull that nobody will finish: once it returns, its rows are not written any more. An unknown ticket is
  // no error.
  virtual void CancelPull(PullTicket ticket) = 0;

  // StartPull and FinishPull.
  Status Pull(int64_t step, PullKind kind, std::span<const TablePull> tables);

  // Hands over this worker's gradients of step `step`: once per step, with no keys if its batch was empty. Returns when
  // the buffers may be reused, which may be before the step is applied.
  virtual Status Push(int64_t step, std::span<const TablePush> tables) = 0;

  // Waits until all workers' pushes of the steps up to `step` are applied.
  virtual Status Drain(int64_t step) = 0;

  // Writes all rows to files in `folder`, which all owners share; they stay unchanged meanwhile. One worker calls,
  // after every worker has drained `step`. Files are synced; the entries say what they hold.
  virtual Result<std::vector<DataFile>> Save(int64_t step, const std::string& folder) = 0;

  // Fills the (empty) tables from the ROWS files of a checkpoint, whatever owners wrote them, and takes `step` as the
  // last applied. One worker calls, before any pull.
  virtual Status Load(int64_t step, const std::string& folder, std::span<const DataFile> files) = 0;

  virtual Result<StoreStats> Stats() = 0;
};

}  // namespace weir
