#include "param_server/listener.h"

#include <chrono>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <asio/steady_timer.hpp>

#include "param_server/dial.h"
#include "param_server/protocol.h"

namespace weir {
namespace {

constexpr int kBacklog = 256;

Status BindStatus(const asio::error_code& error, const std::string& where, const std::string& who) {
  const std::string what = fmt::format("{} cannot listen on {}", who, where);
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

}  // namespace

Result<ServerAddress> Listener::Open(const std::string& bind_address, int port, const std::string& who,
                                     OnSocket on_socket) {
  who_ = who;
  on_socket_ = std::move(on_socket);
  WEIR_RETURN_IF_ERROR(ListenTcp(bind_address, port));
  ListenUnix();
  Accept(&tcp_);
  if (unix_.is_open()) Accept(&unix_);
  return address_;
}

void Listener::Close() {
  asio::error_code error;
  tcp_.close(error);
  unix_.close(error);
}

Status Listener::ListenTcp(const std::string& bind_address, int port) {
  WEIR_ASSIGN_OR_RETURN(const auto endpoint, Resolve(io_, bind_address, port));
  const std::string where = fmt::format("{}:{}", bind_address, port);
  asio::error_code error;
  tcp_.open(endpoint.protocol(), error);
  // Takes over a port whose last connections are still fading; one that is listened on stays refused.
  if (!error) tcp_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) tcp_.bind(endpoint, error);
  if (!error) tcp_.listen(kBacklog, error);
  if (error) return BindStatus(error, where, who_);
  address_.host = bind_address;
  address_.port = tcp_.local_endpoint().port();
  address_.machine = MachineIdentity();
  return Status();
}

// An abstract name leaves no file behind. Without it workers use TCP.
void Listener::ListenUnix() {
  const Result<JobToken> random = MakeToken();
  if (!random.ok()) return;
  std::string name = "weir-";
  for (const uint8_t byte : *random) name += fmt::format("{:02x}", byte);
  asio::error_code error;
  unix_.open({}, error);
  if (!error) unix_.bind(asio::local::stream_protocol::endpoint(std::string(1, '\0') + name), error);
  if (!error) unix_.listen(kBacklog, error);
  if (error) {
    LOG(WARNING) << who_ << " has no Unix socket: " << error.message();
    unix_.close(error);
    return;
  }
  address_.unix_name = name;
}

template <typename Acceptor>
void Listener::Accept(Acceptor* acceptor) {
  acceptor->async_accept([this, acceptor](const asio::error_code& error, auto accepted) {
    if (!acceptor->is_open()) return;
    if (!error) {
      Connection::Socket socket(std::move(accepted));
      TuneSocket(&socket);
      on_socket_(std::move(socket));
      return Accept(acceptor);
    }
    // Out of file descriptors, mostly: try again later instead of spinning.
    LOG(ERROR) << who_ << " cannot accept a connection: " << error.message();
    auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(100));
    timer->async_wait([this, acceptor, timer](const asio::error_code& stopped) {
      if (!stopped && acceptor->is_open()) Accept(acceptor);
    });
  });
}

}  // namespace weir
