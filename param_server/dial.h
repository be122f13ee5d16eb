// Opening a socket to a server.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <asio/io_context.hpp>

#include "base/status.h"
#include "param_server/connection.h"
#include "param_server/server_address.h"

namespace weir {

// By Unix socket if the server runs on this machine and has one that can be reached (containers may not share it), else
// by TCP, to each of the host's addresses in turn. `done` is called once, within timeout_ns, by the thread that runs
// `io`: NotFound if all addresses refused (the host is there, and nobody listens), Unavailable else.
using OnSocket = std::function<void(Result<Connection::Socket>)>;
void Dial(asio::io_context* io, const ServerAddress& address, int64_t timeout_ns, OnSocket done);

// For messages: "127.0.0.1:4711", "Unix socket".
std::string PeerName(const Connection::Socket& socket);

// As connections of this protocol are tuned.
void TuneSocket(Connection::Socket* socket);

}  // namespace weir
