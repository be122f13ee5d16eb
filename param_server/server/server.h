// Server: one parameter server, in a rank of its own or beside a worker.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/trace.h"
#include "embeddings/row_files.h"
#include "embeddings/table_set.h"
#include "param_server/local_server.h"
#include "param_server/protocol.h"
#include "param_server/server_address.h"
#include "param_server/tls_credentials.h"
#include "param_server/transport.h"

namespace weir {

struct ServerOptions {
  int server = 0;  // index, 0-based
  int num_servers = 1;
  int num_workers = 1;
  std::string bind_address = "127.0.0.1";
  int port = 0;  // 0: any free one
  JobToken token{};
  int64_t max_frame_bytes = 268'435'456;
  int64_t silence_ns = 30'000'000'000;
  int64_t progress_ns = 600'000'000'000;
  int virtual_shards = 1024;
  std::vector<TableSpec> tables;
  RowFiles* row_files = nullptr;  // outlives the server
  bool look_ahead = true;         // docs/consistency.md
  Trace* trace = nullptr;         // outlives the server; null: none is kept
  // Between hosts; null: frames travel as they are.
  std::shared_ptr<const TlsCredentials> tls;
  // Of this server alone; null: sockets.
  std::shared_ptr<Transport> transport;
  // Whether the transport's thread owns the rows, and not one of their own.
  bool rows_on_transport = false;
};

// Owns the rows of its virtual shards, one thread for them and one for sockets. Thread-safe. docs/protocol.md says what
// it promises.
class Server : public LocalServer {
 public:
  // Listens once it returns. AlreadyExists names the address and the setting if the port is taken.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options);
  ~Server() override;

  ServerAddress address() const;

  // Blocks until the job ends: OK once worker 0 has said Shutdown and the workers have left (2 s at most), else the
  // error that ended it, with the worker and its step. Bounded by silence and progress; Stop ends it too.
  Status Wait();

  // Closes all connections and joins the threads; waits a second at most for workers to hear of a failure, and for a
  // save or load that is running.
  void Stop();

  // LocalServer.
  Result<int64_t> Attach(const Hello& hello, std::function<void(const Status&)> on_failure) override;
  void Detach(int worker, const Status& reason) override;
  void Submit(OwnerRequest request) override;
  uint64_t progress() const override;
  void RequestShutdown() override;

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace weir
