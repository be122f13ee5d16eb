#include "param_server/dial.h"

#include <signal.h>
#include <sys/time.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <asio/ip/tcp.hpp>

#include "base/clock.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

ServerAddress At(int port) { return {.host = "127.0.0.1", .port = port, .machine = "elsewhere", .unix_name = ""}; }

// A port that takes no more connections: its queue is full and nobody accepts.
class FullListener {
 public:
  explicit FullListener(asio::io_context* io) : acceptor_(*io) {
    acceptor_.open(asio::ip::tcp::v4());
    acceptor_.bind({asio::ip::address_v4::loopback(), 0});
    acceptor_.listen(0);
    for (int i = 0; i < 8; ++i) {
      queued_.push_back(std::make_unique<asio::ip::tcp::socket>(*io));
      queued_.back()->open(asio::ip::tcp::v4());
      queued_.back()->native_non_blocking(true);
      // asio's own would wait.
      const auto endpoint = acceptor_.local_endpoint();
      ::connect(queued_.back()->native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    }
  }
  int port() const { return acceptor_.local_endpoint().port(); }

 private:
  asio::ip::tcp::acceptor acceptor_;
  std::vector<std::unique_ptr<asio::ip::tcp::socket>> queued_;
};

// Runs `io` until the answer is there.
Result<Connection::Socket> DialNow(asio::io_context* io, const ServerAddress& address, int64_t timeout_ns) {
  Result<Connection::Socket> result = Internal("no answer");
  int answers = 0;
  Dial(io, address, timeout_ns, [&](Result<Connection::Socket> socket) {
    result = std::move(socket);
    ++answers;
  });
  io->restart();
  io->run_for(std::chrono::seconds(20));
  EXPECT_EQ(answers, 1);
  return result;
}

// Interrupts this thread every 20 ms.
class Interruptions {
 public:
  Interruptions() {
    struct sigaction action {};
    action.sa_handler = [](int) { count = count + 1; };
    sigaction(SIGALRM, &action, &before_);
    const itimerval every{{0, 20'000}, {0, 20'000}};
    setitimer(ITIMER_REAL, &every, nullptr);
  }
  ~Interruptions() {
    const itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before_, nullptr);
  }
  static inline volatile sig_atomic_t count = 0;

 private:
  struct sigaction before_ {};
};

TEST(DialTest, WaitsToItsDeadlineThroughSignals) {
  asio::io_context io;
  FullListener listener(&io);
  Interruptions interruptions;
  const int64_t start_ns = SystemClock().SteadyNanos();
  const auto socket = DialNow(&io, At(listener.port()), 300 * kNanosPerMilli);
  const int64_t waited_ns = SystemClock().SteadyNanos() - start_ns;
  ASSERT_FALSE(socket.ok());
  EXPECT_EQ(socket.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(socket.status().message(), HasSubstr("timed out"));
  EXPECT_GE(waited_ns, 300 * kNanosPerMilli);
  EXPECT_LT(waited_ns, 10 * kNanosPerSecond);
  EXPECT_GT(Interruptions::count, 2);
}

TEST(DialTest, ConnectsByTcpAndRefusesAClosedPort) {
  asio::io_context io;
  int port = 0;
  {
    asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    port = acceptor.local_endpoint().port();
    const auto socket = DialNow(&io, At(port), kNanosPerSecond);
    ASSERT_TRUE(socket.ok()) << socket.status().ToString();
    EXPECT_EQ(PeerName(*socket), "127.0.0.1:" + std::to_string(port));
  }
  EXPECT_EQ(DialNow(&io, At(port), kNanosPerSecond).status().code(), StatusCode::kNotFound) << "nobody listens";
}

}  // namespace
}  // namespace weir
