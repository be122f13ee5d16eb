#include "param_server/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <glog/logging.h>
#include <gtest/gtest.h>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/clock.h"
#include "base/crc32c.h"

namespace weir::testing {
namespace {

constexpr JobToken kToken = {7};

std::array<int, 2> TcpPair() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  PCHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener, 1) == 0);
  PCHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const int dialed = socket(AF_INET, SOCK_STREAM, 0);
  PCHECK(connect(dialed, reinterpret_cast<sockaddr*>(&address), size) == 0);
  const int accepted = accept(listener, nullptr, nullptr);
  PCHECK(accepted >= 0);
  close(listener);
  return {dialed, accepted};
}

// A connection on a thread of its own; the test is its peer.
class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    const auto fds = TcpPair();
    peer_ = fds[0];
    Stream::Socket socket(io_, asio::generic::stream_protocol(AF_INET, IPPROTO_TCP), fds[1]);
    connection_ = std::make_shared<Connection>(MakeSocketStream(std::move(socket)), "the test", kToken, 1 << 20);
    thread_ = std::thread([this] { io_.run(); });
    OnThread([this] {
      connection_->Start(
          [this](const FrameHeader&, Buffer payload) {
            payload_bytes_ = payload.size();
            return Status();
          },
          [this](const Status&) { closed_ = true; });
    });
  }
  ~ConnectionTest() override {
    close(peer_);
    OnThread([this] { connection_->Close(Aborted("the test is over")); });
    io_.stop();
    thread_.join();
  }
  void OnThread(const std::function<void()>& work) {
    std::promise<void> done;
    asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  int64_t LastHeard() {
    int64_t heard_ns = 0;
    OnThread([&] { heard_ns = connection_->last_heard_ns(); });
    return heard_ns;
  }
  void Send(const std::vector<uint8_t>& bytes) {
    PCHECK(send(peer_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::shared_ptr<Connection> connection_;
  std::thread thread_;
  int peer_ = -1;
  std::atomic<size_t> payload_bytes_ = 0;
  std::atomic<bool> closed_ = false;
};

std::vector<uint8_t> Header(const std::vector<uint8_t>& payload) {
  std::vector<uint8_t> header(kFrameHeaderBytes);
  EncodeHeader({.type = MessageType::kRows,
                .payload_bytes = payload.size(),
                .payload_crc32c = Crc32c(payload.data(), payload.size())},
               kToken, std::span(header).first<kFrameHeaderBytes>());
  return header;
}

// The thread is not woken for each part of a large frame; the parts count as signs of life all the same.
TEST_F(ConnectionTest, AFrameThatComesInDropsIsHeardAndReadWhole) {
  const std::vector<uint8_t> payload(300'000, 5);
  Send(Header(payload));
  int64_t heard_ns = LastHeard();
  size_t sent = 0;
  for (const size_t part : {1000, 1, 60'000, 100'000, 2}) {
    Send({payload.begin() + sent, payload.begin() + sent + part});
    sent += part;
    EXPECT_GT(LastHeard(), heard_ns) << sent;
    heard_ns = LastHeard();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(LastHeard(), heard_ns) << "nothing came since";
  }
  EXPECT_EQ(payload_bytes_, 0);
  Send({payload.begin() + sent, payload.end()});
  EXPECT_EQ(payload_bytes_, payload.size());
  // And a small one after it.
  Send(Header({}));
  EXPECT_EQ(payload_bytes_, 0);
  EXPECT_FALSE(closed_);
}

TEST_F(ConnectionTest, AnEndInTheMidstOfALargeFrameIsSeen) {
  const std::vector<uint8_t> payload(300'000, 5);
  Send(Header(payload));
  Send({payload.begin(), payload.begin() + 1000});
  EXPECT_FALSE(closed_);
  PCHECK(shutdown(peer_, SHUT_WR) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(closed_);
}

}  // namespace
}  // namespace weir::testing
