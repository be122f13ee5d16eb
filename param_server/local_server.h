// LocalServer: how a worker reaches the server in its own process: the same requests that sockets carry, put straight
// into the queue of the thread that owns the rows, with keys, rows and gradients where they are.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "embeddings/found_rows.h"
#include "param_server/protocol.h"

namespace weir {

// What the owner thread hands back.
struct OwnerReply {
  std::vector<DataFile> files;  // Save
  OwnerStats stats;             // Stats
};

// A request to the thread that owns a server's rows. All pointers must live until `done` has been called or destroyed.
struct OwnerRequest {
  MessageType type = MessageType::kStats;  // Pull, Push, Drain, Save, Load, Stats, Hello (joins), Goodbye (leaves)
  int worker = 0;
  int64_t step = 0;
  PullKind kind = PullKind::kTraining;
  uint64_t sequence = 0;
  int64_t unix_ms = 0;  // of a push
  std::vector<TablePull> pulls;
  std::vector<TablePush> pushes;
  bool as_pulled = false;        // the keys of a push are those of the worker's pull of its step
  std::vector<FoundRows> found;  // of such a push, by table; the owner's
  // Of a training pull: told once, ahead of `done`, that some rows are filled already: by pull, their positions,
  // ascending. Returns the bytes that it sent beyond bytes_out. On the owner thread; must not block. Null: nobody
  // cares.
  std::function<int64_t(std::span<const std::vector<uint32_t>>)> on_early;
  std::string folder;
  std::vector<DataFile> files;
  // Whole frames of the request and of its answer; 0 where they do not travel.
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  // How long it may wait while the server makes no progress.
  int64_t timeout_ns = 0;
  // Called once, on the owner thread or on the caller's; must not block. For a push, once it is applied or refused.
  std::function<void(const Status&, OwnerReply)> done;
};

// Thread-safe. Outlives every store that uses it.
class LocalServer {
 public:
  virtual ~LocalServer() = default;

  // A worker of this process joins: the same checks as for one that connects. `on_failure` is called once, from any
  // thread, if the server fails. Returns the last applied step.
  virtual Result<int64_t> Attach(const Hello& hello, std::function<void(const Status&)> on_failure) = 0;
  // It leaves; `reason` is an error if it failed, which then is the server's failure too. No callback comes afterwards.
  virtual void Detach(int worker, const Status& reason) = 0;

  virtual void Submit(OwnerRequest request) = 0;
  // Grows with each applied step, evaluation pull and checkpoint block.
  virtual uint64_t progress() const = 0;
  // Worker 0 ends the job.
  virtual void RequestShutdown() = 0;
};

}  // namespace weir
