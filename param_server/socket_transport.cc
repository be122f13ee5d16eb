#include "param_server/socket_transport.h"

#include <atomic>
#include <chrono>
#include <future>
#include <utility>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "param_server/connection.h"
#include "param_server/dial.h"

namespace weir {

SocketTransport::SocketTransport(const JobToken& token, int64_t payload_bytes_max)
    : token_(token), payload_bytes_max_(payload_bytes_max), work_(io_.get_executor()), listener_(&io_) {
  thread_ = std::thread([this] { io_.run(); });
}

SocketTransport::~SocketTransport() { Stop(); }

void SocketTransport::Post(std::function<void()> work) { asio::post(io_, std::move(work)); }

bool SocketTransport::Run(const std::function<void()>& work) {
  struct State {
    std::atomic<bool> taken = false;  // by the thread that runs it, or by the caller, who gives it up
    std::promise<void> done;
  };
  auto state = std::make_shared<State>();
  auto result = state->done.get_future();
  asio::post(io_, [state, &work] {
    if (state->taken.exchange(true)) return;
    work();
    state->done.set_value();
  });
  while (result.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (io_.stopped() && !state->taken.exchange(true)) return false;
  }
  return true;
}

void SocketTransport::After(int64_t delay_ns, std::function<void()> work) {
  auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::nanoseconds(delay_ns));
  timer->async_wait([timer, work = std::move(work)](const asio::error_code& error) {
    if (!error) work();
  });
}

void SocketTransport::Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, int64_t timeout_ns) {
  changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns));
}

void SocketTransport::Dial(const ServerAddress& address, int64_t timeout_ns, OnDialed done) {
  weir::Dial(&io_, address, timeout_ns, [this, done = std::move(done)](Result<Connection::Socket> socket) {
    if (!socket.ok()) return done(socket.status());
    std::string peer = PeerName(*socket);
    done(std::shared_ptr<Channel>(
        std::make_shared<Connection>(std::move(*socket), std::move(peer), token_, payload_bytes_max_)));
  });
}

Result<ServerAddress> SocketTransport::Listen(const ListenOptions& options, OnAccepted on_accepted) {
  const auto accept = [this, on_accepted = std::move(on_accepted),
                       bytes_max = options.payload_bytes_max](Connection::Socket socket) {
    std::string peer = PeerName(socket);
    on_accepted(std::make_shared<Connection>(std::move(socket), std::move(peer), token_, bytes_max));
  };
  Result<ServerAddress> address = Aborted("the transport was stopped");
  Run([&] { address = listener_.Open(options.bind_address, options.port, options.who, accept); });
  return address;
}

void SocketTransport::Stop() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace weir
