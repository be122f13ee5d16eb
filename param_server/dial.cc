#include "param_server/dial.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace weir {
namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

// One attempt to reach a server, over its addresses. Kept alive by its handlers.
class Dialing : public std::enable_shared_from_this<Dialing> {
 public:
  Dialing(asio::io_context* io, const ServerAddress& address, OnSocket done)
      : address_(address), done_(std::move(done)), resolver_(*io), socket_(*io), timer_(*io) {}

  void Start(int64_t timeout_ns) {
    timer_.expires_after(std::chrono::nanoseconds(timeout_ns));
    timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
      if (!error) self->End(Unavailable("cannot connect: timed out"));
    });
    if (address_.unix_name.empty() || address_.machine != MachineIdentity()) return ResolveHost();
    Connect(asio::local::stream_protocol::endpoint(std::string(1, '\0') + address_.unix_name),
            [self = shared_from_this()](const asio::error_code&) { self->ResolveHost(); });
  }

 private:
  using OnError = std::function<void(const asio::error_code&)>;

  void Connect(const Endpoint& endpoint, OnError on_error) {
    asio::error_code error;
    socket_.close(error);
    socket_.open(endpoint.protocol(), error);
    if (error) return on_error(error);
    socket_.async_connect(endpoint,
                          [self = shared_from_this(), on_error = std::move(on_error)](const asio::error_code& failed) {
                            if (!self->done_) return;
                            if (failed) return on_error(failed);
                            TuneSocket(&self->socket_);
                            self->End(std::move(self->socket_));
                          });
  }

  void ResolveHost() {
    resolver_.async_resolve(
        address_.host, std::to_string(address_.port),
        [self = shared_from_this()](const asio::error_code& error, const asio::ip::tcp::resolver::results_type& found) {
          if (!self->done_) return;
          if (error) {
            return self->End(Unavailable(fmt::format("host name {}: {}", self->address_.host, error.message())));
          }
          for (const auto& entry : found) self->left_.push_back(entry.endpoint());
          std::ranges::reverse(self->left_);
          self->ConnectNext(asio::error::host_not_found);
        });
  }

  void ConnectNext(const asio::error_code& last) {
    if (left_.empty()) {
      const std::string text = fmt::format("cannot connect: {}", last.message());
      return End(refused_by_all_ ? NotFound(text) : Unavailable(text));
    }
    const Endpoint next = left_.back();
    left_.pop_back();
    Connect(next, [self = shared_from_this()](const asio::error_code& error) {
      self->refused_by_all_ = self->refused_by_all_ && error == asio::error::connection_refused;
      self->ConnectNext(error);
    });
  }

  void End(Result<Connection::Socket> result) {
    if (!done_) return;
    timer_.cancel();
    resolver_.cancel();
    asio::error_code ignored;
    if (!result.ok()) socket_.close(ignored);
    std::exchange(done_, nullptr)(std::move(result));
  }

  const ServerAddress address_;
  OnSocket done_;  // null once called
  asio::ip::tcp::resolver resolver_;
  Connection::Socket socket_;
  asio::steady_timer timer_;
  std::vector<Endpoint> left_;  // to be tried, the next one last
  bool refused_by_all_ = true;
};

}  // namespace

void Dial(asio::io_context* io, const ServerAddress& address, int64_t timeout_ns, OnSocket done) {
  const auto dialing = std::make_shared<Dialing>(io, address, std::move(done));
  asio::post(*io, [dialing, timeout_ns] { dialing->Start(timeout_ns); });
}

std::string PeerName(const Connection::Socket& socket) {
  asio::error_code error;
  const Endpoint endpoint = socket.remote_endpoint(error);
  if (error) return "an unknown address";
  if (endpoint.protocol().family() == AF_UNIX) return "Unix socket";
  asio::ip::tcp::endpoint tcp;
  tcp.resize(std::min(endpoint.size(), tcp.capacity()));
  std::memcpy(tcp.data(), endpoint.data(), tcp.size());
  return fmt::format("{}:{}", tcp.address().to_string(), tcp.port());
}

void TuneSocket(Connection::Socket* socket) {
  asio::error_code error;
  if (!IsUnix(*socket)) socket->set_option(asio::ip::tcp::no_delay(true), error);
}

}  // namespace weir
