#include "param_server/client/dial.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include <fmt/format.h>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>

#include "base/clock.h"

namespace weir {
namespace {

asio::error_code LastError() { return {errno, asio::system_category()}; }

// asio's own connect has no deadline (here: of the steady clock).
asio::error_code ConnectBefore(Connection::Socket* socket, const asio::generic::stream_protocol::endpoint& endpoint,
                               int64_t deadline_ns) {
  asio::error_code error;
  socket->open(endpoint.protocol(), error);
  if (!error) socket->native_non_blocking(true, error);
  if (error) return error;
  if (::connect(socket->native_handle(), endpoint.data(), endpoint.size()) == 0) return {};
  // A connect that a signal interrupts goes on in the background.
  if (errno != EINPROGRESS && errno != EINTR) return LastError();
  pollfd waiting{.fd = socket->native_handle(), .events = POLLOUT, .revents = 0};
  int ready = 0;
  while (ready <= 0) {
    const int64_t left_ns = deadline_ns - SystemClock().SteadyNanos();
    if (left_ns <= 0) return asio::error::timed_out;
    ready = poll(&waiting, 1, static_cast<int>(std::clamp<int64_t>(left_ns / kNanosPerMilli, 1, 600'000)));
    if (ready < 0 && errno != EINTR) return LastError();
  }
  int socket_error = 0;
  socklen_t size = sizeof(socket_error);
  if (getsockopt(socket->native_handle(), SOL_SOCKET, SO_ERROR, &socket_error, &size) != 0) return LastError();
  return {socket_error, asio::system_category()};
}

}  // namespace

Result<Connection::Socket> Dial(asio::io_context* io, const ServerAddress& address, int64_t timeout_ns) {
  const int64_t deadline_ns = SystemClock().SteadyNanos() + timeout_ns;
  if (!address.unix_name.empty() && address.machine == MachineIdentity()) {
    Connection::Socket socket(*io);
    const asio::local::stream_protocol::endpoint endpoint(std::string(1, '\0') + address.unix_name);
    if (!ConnectBefore(&socket, endpoint, deadline_ns)) {
      asio::error_code ignored;
      socket.set_option(asio::socket_base::send_buffer_size(kUnixSendBytes), ignored);
      return socket;
    }
  }
  asio::error_code error;
  asio::ip::tcp::resolver resolver(*io);
  const auto endpoints = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error) return Unavailable(fmt::format("host name {}: {}", address.host, error.message()));
  for (const auto& entry : endpoints) {
    Connection::Socket socket(*io);
    error = ConnectBefore(&socket, entry.endpoint(), deadline_ns);
    if (error) continue;
    asio::error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    return socket;
  }
  return Unavailable(fmt::format("cannot connect: {}", error.message()));
}

}  // namespace weir
