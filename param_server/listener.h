// Listener: the sockets on which a server accepts connections: TCP, and Unix for ranks of its machine.
#pragma once

#include <functional>
#include <string>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>

#include "base/status.h"
#include "param_server/connection.h"
#include "param_server/server_address.h"

namespace weir {

// Used by the thread that runs `io`.
class Listener {
 public:
  // `io` outlives the listener.
  explicit Listener(asio::io_context* io) : io_(*io), tcp_(*io), unix_(*io) {}

  // Binds and listens; connections that come are handed over. `who` stands in messages. AlreadyExists if the port is
  // taken.
  using OnSocket = std::function<void(Connection::Socket)>;
  Result<ServerAddress> Open(const std::string& bind_address, int port, const std::string& who, OnSocket on_socket);
  void Close();

 private:
  Status ListenTcp(const std::string& bind_address, int port);
  void ListenUnix();
  template <typename Acceptor>
  void Accept(Acceptor* acceptor);

  asio::io_context& io_;
  asio::ip::tcp::acceptor tcp_;
  asio::local::stream_protocol::acceptor unix_;
  std::string who_;
  OnSocket on_socket_;
  ServerAddress address_;
};

}  // namespace weir
