// RemoteStore: a worker's way to the rows on parameter servers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "embeddings/store.h"
#include "param_server/local_server.h"
#include "param_server/protocol.h"
#include "param_server/server_address.h"
#include "param_server/tls_credentials.h"
#include "param_server/transport.h"

namespace weir {

// Which rows a worker keeps beside it: docs/consistency.md, "Hot rows".
struct HotRowsOptions {
  int rows_max = 0;       // of each table; 0 keeps none
  int64_t age_steps = 4;  // for which a copy stands, in training
  int window_pulls = 32;  // after which the hot keys are chosen anew
};

struct RemoteStoreOptions {
  int worker = 0;
  int num_workers = 1;
  std::vector<ServerAddress> servers;  // by index; the colocated one too
  JobToken token{};
  int64_t max_frame_bytes = 268'435'456;
  int64_t silence_ns = 30'000'000'000;
  int64_t progress_ns = 600'000'000'000;
  int virtual_shards = 1024;
  std::vector<TableSpec> tables;
  const Clock* clock = &SystemClock();  // tells the servers when steps are pushed; outlives the store
  // The server in this process, if there is one, and its index. It must outlive the store.
  LocalServer* colocated = nullptr;
  int colocated_index = -1;
  HotRowsOptions hot_rows;
  // Told once, from a thread of the store, when the store fails while nobody may be waiting in it (a server died during
  // the backward pass). Optional; must not block nor destroy the store.
  std::function<void(const Status&)> on_failure;
  // Between hosts; null: frames travel as they are.
  std::shared_ptr<const TlsCredentials> tls;
  // Of this store alone; null: sockets.
  std::shared_ptr<Transport> transport;
};

// See EmbeddingStore for who may call. Its transport's thread connects to no one but the servers, sends a heartbeat
// each second, scatters arriving rows to their place, mends broken connections (docs/protocol.md, "Sessions"), and
// notices a silent server within `silence`: every call then returns Unavailable with the server and the step named. All
// servers get one message per pull and one per push, with keys or without.
class RemoteStore : public EmbeddingStore {
 public:
  // Connects to all servers and shakes hands. Errors: Unavailable (a server cannot be reached within `silence`),
  // FailedPrecondition (it runs another job), Unauthenticated (one end does not accept the other's certificate, or the
  // server has another job's token).
  static Result<std::unique_ptr<RemoteStore>> Connect(RemoteStoreOptions options);

  // Says Goodbye to the servers if nothing failed; if something did, tells them what.
  ~RemoteStore() override;

  Result<PullTicket> StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables) override;
  Status FinishPull(PullTicket ticket) override;
  void CancelPull(PullTicket ticket) override;
  Status Push(int64_t step, std::span<const TablePush> tables) override;
  Status Drain(int64_t step) override;
  Result<std::vector<DataFile>> Save(int64_t step, const std::string& folder) override;
  Status Load(int64_t step, const std::string& folder, std::span<const DataFile> files) override;
  Result<StoreStats> Stats() override;

  // Worker 0, at the end of the job, when no worker needs the servers any more: Server::Wait returns OK on each. All
  // stores of the job leave the servers with it, and can only be destroyed afterwards.
  Status Shutdown();

  // Ends the job for the given reason (an error): servers and, through them, the other workers learn it.
  void Abort(const Status& reason);

 private:
  class Calls;
  explicit RemoteStore(std::unique_ptr<Calls> calls);
  const std::unique_ptr<Calls> calls_;
};

}  // namespace weir
