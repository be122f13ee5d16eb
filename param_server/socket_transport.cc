#include "param_server/socket_transport.h"

#include <atomic>
#include <chrono>
#include <future>
#include <utility>

#include <glog/logging.h>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "param_server/connection.h"
#include "param_server/dial.h"
#include "param_server/shared_memory_stream.h"
#include "param_server/stream.h"
#include "param_server/tls_stream.h"

namespace weir {
namespace {

#if defined(__SANITIZE_THREAD__)
// Two mappings of one memory are two memories to the sanitizer: it would not see that one end's bytes come after the
// other's.
constexpr bool kSharesMemory = false;
#else
constexpr bool kSharesMemory = true;
#endif

Result<std::unique_ptr<Stream>> DialedStream(Stream::Socket socket, const TlsCredentials* tls,
                                             const std::string& host) {
  const bool is_unix = IsUnix(socket);
  if (is_unix && kSharesMemory) return DialSharedMemory(std::move(socket));
  if (is_unix || tls == nullptr) return MakeSocketStream(std::move(socket));
  return DialTls(std::move(socket), *tls, host);
}

Result<std::unique_ptr<Stream>> AcceptedStream(Stream::Socket socket, const TlsCredentials* tls, int num_workers) {
  const bool is_unix = IsUnix(socket);
  if (is_unix && kSharesMemory) return AcceptSharedMemory(std::move(socket), RingBytes(num_workers));
  if (is_unix || tls == nullptr) return MakeSocketStream(std::move(socket));
  return AcceptTls(std::move(socket), *tls);
}

}  // namespace

SocketTransport::SocketTransport(const JobToken& token, int64_t payload_bytes_max,
                                 std::shared_ptr<const TlsCredentials> tls)
    : token_(token),
      payload_bytes_max_(payload_bytes_max),
      tls_(std::move(tls)),
      work_(io_.get_executor()),
      listener_(&io_) {
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
  const auto on_socket = [this, host = address.host, done = std::move(done)](Result<Stream::Socket> socket) {
    if (!socket.ok()) return done(socket.status());
    std::string peer = PeerName(*socket);
    Result<std::unique_ptr<Stream>> stream = DialedStream(std::move(*socket), tls_.get(), host);
    if (!stream.ok()) return done(stream.status());
    done(std::shared_ptr<Channel>(
        std::make_shared<Connection>(std::move(*stream), std::move(peer), token_, payload_bytes_max_)));
  };
  weir::Dial(&io_, address, timeout_ns, on_socket);
}

Result<ServerAddress> SocketTransport::Listen(const ListenOptions& options, OnAccepted on_accepted) {
  const auto accept = [this, on_accepted = std::move(on_accepted), bytes_max = options.payload_bytes_max,
                       num_workers = options.num_workers](Connection::Socket socket) {
    std::string peer = PeerName(socket);
    Result<std::unique_ptr<Stream>> stream = AcceptedStream(std::move(socket), tls_.get(), num_workers);
    if (!stream.ok()) {
      LOG(ERROR) << "a connection from " << peer << " was dropped: " << stream.status().ToString();
      return;
    }
    on_accepted(std::make_shared<Connection>(std::move(*stream), std::move(peer), token_, bytes_max));
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
