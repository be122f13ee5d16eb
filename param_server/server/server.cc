#include "param_server/server/server.h"

#include <bit>
#include <utility>

#include <fmt/format.h>

#include "param_server/server/owner.h"
#include "param_server/server/sessions.h"
#include "param_server/socket_transport.h"

namespace weir {

struct Server::Parts {
  Parts(OwnerOptions owner_options, SessionsOptions sessions_options, std::shared_ptr<Transport> transport)
      : transport(std::move(transport)),
        owner(std::move(owner_options)),
        sessions(std::move(sessions_options), this->transport, &owner) {}
  const std::shared_ptr<Transport> transport;
  Owner owner;
  Sessions sessions;
};

namespace {

Status Check(const ServerOptions& options) {
  if (options.num_servers < 1 || options.server < 0 || options.server >= options.num_servers) {
    return InvalidArgument(fmt::format("server {} of {}", options.server, options.num_servers));
  }
  if (options.num_workers < 1) return InvalidArgument("a server needs at least one worker");
  if (options.virtual_shards < 1 || !std::has_single_bit(static_cast<unsigned>(options.virtual_shards))) {
    return InvalidArgument(
        fmt::format("cluster.virtual_shards: expected a power of two, found {}", options.virtual_shards));
  }
  return Status();
}

}  // namespace

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options) {
  WEIR_RETURN_IF_ERROR(Check(options));
  SessionsOptions sessions;
  sessions.expected.server = options.server;
  sessions.expected.num_servers = options.num_servers;
  sessions.expected.num_workers = options.num_workers;
  sessions.expected.virtual_shards = options.virtual_shards;
  sessions.expected.num_tables = static_cast<uint32_t>(options.tables.size());
  sessions.expected.table_digest = TableDigest(options.tables);
  sessions.formats = TableFormats(options.tables);
  sessions.bind_address = options.bind_address;
  sessions.port = options.port;
  sessions.max_frame_bytes = options.max_frame_bytes;
  sessions.silence_ns = options.silence_ns;
  sessions.progress_ns = options.progress_ns;
  OwnerOptions owner;
  owner.server = options.server;
  owner.num_servers = options.num_servers;
  owner.num_workers = options.num_workers;
  owner.virtual_shards = options.virtual_shards;
  owner.tables = std::move(options.tables);
  owner.row_files = options.row_files;
  owner.look_ahead = options.look_ahead;
  owner.trace = options.trace;
  std::shared_ptr<Transport> transport = options.transport;
  if (!transport) transport = std::make_shared<SocketTransport>(options.token, options.max_frame_bytes, options.tls);
  if (options.rows_on_transport) owner.runs_on = transport.get();
  auto parts = std::make_unique<Parts>(std::move(owner), std::move(sessions), std::move(transport));
  WEIR_RETURN_IF_ERROR(parts->owner.disk_status());
  WEIR_RETURN_IF_ERROR(parts->sessions.Start());
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::~Server() { Stop(); }

ServerAddress Server::address() const { return parts_->sessions.address(); }

Status Server::Wait() { return parts_->sessions.Wait(); }

void Server::Stop() {
  parts_->sessions.Stop();
  parts_->owner.Stop();
}

Result<int64_t> Server::Attach(const Hello& hello, std::function<void(const Status&)> on_failure) {
  return parts_->sessions.Attach(hello, std::move(on_failure));
}

void Server::Detach(int worker, const Status& reason) { parts_->sessions.Detach(worker, reason); }

void Server::Submit(OwnerRequest request) { parts_->owner.Submit(std::move(request)); }

uint64_t Server::progress() const { return parts_->owner.progress(); }

void Server::RequestShutdown() { parts_->sessions.RequestShutdown(); }

}  // namespace weir
