// The part of Sessions that binds sockets and accepts connections.
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <asio/post.hpp>

#include "base/clock.h"
#include "param_server/server/sessions.h"

namespace weir {
namespace {

constexpr int kBacklog = 256;

Status BindStatus(const asio::error_code& error, const std::string& where, int server) {
  const std::string what = fmt::format("server {} cannot listen on {}", server, where);
  if (error == asio::error::address_in_use) {
    return AlreadyExists(
        fmt::format("{}: the port is taken; set cluster.base_port to a free range of ports, or to 0 for "
                    "any free ones",
                    what));
  }
  if (error == asio::error::access_denied) {
    return PermissionDenied(fmt::format("{}: {}; set cluster.base_port to 1024 or more", what, error.message()));
  }
  return Unavailable(
      fmt::format("{}: {}; cluster.bind_address must be an address of this host", what, error.message()));
}

Result<asio::ip::tcp::endpoint> Resolve(asio::io_context& io, const std::string& host, int port) {
  asio::error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (!error) return asio::ip::tcp::endpoint(address, static_cast<uint16_t>(port));
  asio::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, std::to_string(port), error);
  if (error || found.empty()) {
    return InvalidArgument(
        fmt::format("cluster.bind_address \"{}\" is no address and no host name: {}", host, error.message()));
  }
  return found.begin()->endpoint();
}

std::string PeerName(const asio::ip::tcp::socket& socket) {
  asio::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? "an unknown address" : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}
std::string PeerName(const asio::local::stream_protocol::socket&) { return "Unix socket"; }

void TuneSocket(asio::ip::tcp::socket* socket) {
  asio::error_code error;
  socket->set_option(asio::ip::tcp::no_delay(true), error);
}
void TuneSocket(asio::local::stream_protocol::socket* socket) {
  asio::error_code error;
  socket->set_option(asio::socket_base::send_buffer_size(kUnixSendBytes), error);
}

}  // namespace

Status Sessions::ListenTcp() {
  WEIR_ASSIGN_OR_RETURN(const auto endpoint, Resolve(io_, options_.bind_address, options_.port));
  const int server = static_cast<int>(options_.expected.server);
  const std::string where = fmt::format("{}:{}", options_.bind_address, options_.port);
  asio::error_code error;
  tcp_.open(endpoint.protocol(), error);
  // Takes over a port whose last connections are still fading; one that is listened on stays refused.
  if (!error) tcp_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) tcp_.bind(endpoint, error);
  if (!error) tcp_.listen(kBacklog, error);
  if (error) return BindStatus(error, where, server);
  address_.host = options_.bind_address;
  address_.port = tcp_.local_endpoint().port();
  address_.machine = MachineIdentity();
  return Status();
}

// An abstract name leaves no file behind. Without it workers use TCP.
void Sessions::ListenUnix() {
  const Result<JobToken> random = MakeToken();
  if (!random.ok()) return;
  std::string name = "weir-";
  for (const uint8_t byte : *random) name += fmt::format("{:02x}", byte);
  asio::error_code error;
  unix_.open({}, error);
  if (!error) unix_.bind(asio::local::stream_protocol::endpoint(std::string(1, '\0') + name), error);
  if (!error) unix_.listen(kBacklog, error);
  if (error) {
    LOG(WARNING) << "server " << options_.expected.server << " has no Unix socket: " << error.message();
    unix_.close(error);
    return;
  }
  address_.unix_name = name;
}

template <typename Acceptor>
void Sessions::Accept(Acceptor* acceptor) {
  acceptor->async_accept([this, acceptor](const asio::error_code& error, auto socket) {
    if (!acceptor->is_open()) return;
    if (!error) {
      TuneSocket(&socket);
      std::string peer = PeerName(socket);
      AddStranger(Connection::Socket(std::move(socket)), std::move(peer));
      return Accept(acceptor);
    }
    // Out of file descriptors, mostly: try again later instead of spinning.
    LOG(ERROR) << "server " << options_.expected.server << " cannot accept a connection: " << error.message();
    auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(100));
    timer->async_wait([this, acceptor, timer](const asio::error_code& stopped) {
      if (!stopped && acceptor->is_open()) Accept(acceptor);
    });
  });
}

template void Sessions::Accept(asio::ip::tcp::acceptor* acceptor);
template void Sessions::Accept(asio::local::stream_protocol::acceptor* acceptor);

}  // namespace weir
