#include "bench/relay.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <chrono>
#include <utility>

#include <glog/logging.h>

#include "base/bounded_queue.h"

namespace weir::bench {
namespace {

using std::chrono::steady_clock;

constexpr size_t kChunkBytes = 64 << 10;
constexpr size_t kChunksMax = 4096;
constexpr int64_t kWaitNs = 1'000'000'000;
constexpr int kAcceptWaitMs = 50;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void SendAtOnce(int socket) {
  const int one = 1;
  PCHECK(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
}

int Dial(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  PCHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

}  // namespace

// One direction of a connection. A thread reads what comes and notes the time, another writes it when it is due.
class Relay::Pipe {
 public:
  // The sockets outlive it.
  Pipe(int from, int to, Relay* relay)
      : from_(from), to_(to), relay_(relay), queue_(kChunksMax), reader_([this] { Read(); }), writer_([this] {
          Write();
        }) {}
  // Once both sockets are shut down.
  ~Pipe() {
    reader_.join();
    writer_.join();
  }

 private:
  struct Chunk {
    steady_clock::time_point due;
    std::vector<char> bytes;
  };

  void Read() {
    while (true) {
      Chunk chunk;
      chunk.bytes.resize(kChunkBytes);
      const ssize_t got = recv(from_, chunk.bytes.data(), chunk.bytes.size(), 0);
      if (got <= 0) break;
      chunk.due = steady_clock::now() + std::chrono::nanoseconds(relay_->delay_ns_);
      chunk.bytes.resize(got);
      relay_->bytes_ += got;
      while (queue_.Push(chunk, kWaitNs) == QueueOutcome::kTimedOut) {
      }
    }
    queue_.Close();
  }

  void Write() {
    // A sleep otherwise ends up to 50 us late.
    prctl(PR_SET_TIMERSLACK, 1);
    Chunk chunk;
    while (true) {
      const QueueOutcome outcome = queue_.Pop(&chunk, kWaitNs);
      if (outcome == QueueOutcome::kClosed) break;
      if (outcome == QueueOutcome::kTimedOut) continue;
      std::this_thread::sleep_until(chunk.due);
      for (size_t sent = 0; sent < chunk.bytes.size();) {
        const ssize_t wrote = send(to_, chunk.bytes.data() + sent, chunk.bytes.size() - sent, MSG_NOSIGNAL);
        if (wrote <= 0) break;  // closed by the other side: what it does not read may go
        sent += wrote;
      }
    }
    shutdown(to_, SHUT_WR);
  }

  const int from_;
  const int to_;
  Relay* const relay_;
  BoundedQueue<Chunk> queue_;
  std::thread reader_;
  std::thread writer_;
};

Relay::Relay(const ServerAddress& server, int64_t delay_ns)
    : server_(server),
      delay_ns_(delay_ns),
      address_(server),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  PCHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  PCHECK(listen(listener_, 16) == 0);
  PCHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  address_.host = "127.0.0.1";
  address_.port = ntohs(address.sin_port);
  address_.unix_name.clear();
  acceptor_ = std::thread([this] { Accept(); });
}

Relay::~Relay() {
  ends_ = true;
  acceptor_.join();
  close(listener_);
}

void Relay::Accept() {
  std::vector<int> sockets;
  while (!ends_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, kAcceptWaitMs) <= 0) continue;
    const int worker = accept(listener_, nullptr, nullptr);
    PCHECK(worker >= 0);
    const int server = Dial(server_.port);
    for (const int socket : {worker, server}) {
      SendAtOnce(socket);
      sockets.push_back(socket);
    }
    pipes_.push_back(std::make_unique<Pipe>(worker, server, this));
    pipes_.push_back(std::make_unique<Pipe>(server, worker, this));
  }
  for (const int socket : sockets) shutdown(socket, SHUT_RDWR);
  pipes_.clear();
  for (const int socket : sockets) close(socket);
}

}  // namespace weir::bench
