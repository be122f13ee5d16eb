// Opening a socket to a server.
#pragma once

#include <cstdint>

#include <asio/io_context.hpp>

#include "base/status.h"
#include "param_server/connection.h"
#include "param_server/server_address.h"

namespace weir {

// By Unix socket if the server runs on this machine and has one that can be reached (containers may not share it), else
// by TCP. Blocks at most timeout_ns for all of the host's addresses together, besides the resolver's own time limit.
// Unavailable names the address.
Result<Connection::Socket> Dial(asio::io_context* io, const ServerAddress& address, int64_t timeout_ns);

}  // namespace weir
