// The stream between ranks of one machine: every byte in order, ends told apart from silence, and a peer that writes
// what it likes into the shared memory, or offers no such memory.
#include "param_server/shared_memory_stream.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <asio/executor_work_guard.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/random.h"

namespace weir::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kWaitMillis = 10'000;
constexpr size_t kRingBytes = kRingBytesMax;

std::array<int, 2> SocketPair() {
  std::array<int, 2> ends{};
  PCHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  return ends;
}

Stream::Socket Take(asio::io_context* io, int fd) {
  return Stream::Socket(*io, asio::generic::stream_protocol(AF_UNIX, 0), fd);
}

// One end: a stream and the thread it lives on.
class End {
 public:
  ~End() { Stop(); }

  void Accept(int fd) { Use(AcceptSharedMemory(Take(&io_, fd), kRingBytes)); }
  void Dial(int fd) { Use(DialSharedMemory(Take(&io_, fd))); }
  Status Handshake() {
    return Await<Status>([this](auto done) { stream_->Handshake(done); });
  }
  // What came, or the end.
  Result<std::string> Read(size_t size) {
    auto bytes = std::make_shared<std::string>(size, '\0');
    return Await<Result<std::string>>([this, bytes](auto done) {
      stream_->Read(asio::buffer(*bytes), [bytes, done](const Status& status, size_t n) {
        done(status.ok() ? Result<std::string>(bytes->substr(0, n)) : Result<std::string>(status));
      });
    });
  }
  Result<size_t> Write(const std::string& bytes) {
    return Await<Result<size_t>>([this, &bytes](auto done) {
      stream_->Write({asio::buffer(bytes), {}}, [done](const Status& status, size_t n) {
        done(status.ok() ? Result<size_t>(n) : Result<size_t>(status));
      });
    });
  }
  Stream* stream() { return stream_.get(); }
  asio::io_context* io() { return &io_; }
  void OnThread(std::function<void()> work) {
    Await<bool>([&](auto done) {
      work();
      done(true);
    });
  }
  void Stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Use(std::unique_ptr<Stream> stream) {
    stream_ = std::move(stream);
    thread_ = std::thread([this] { io_.run(); });
  }
  // start(done) runs on the thread; what `done` was called with.
  template <typename T, typename Start>
  T Await(const Start& start) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    asio::post(io_, [&start, promise] { start([promise](const T& value) { promise->set_value(value); }); });
    CHECK(future.wait_for(std::chrono::milliseconds(kWaitMillis)) == std::future_status::ready) << "nothing came";
    return future.get();
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::thread thread_;
  std::unique_ptr<Stream> stream_;
};

class SharedMemoryStreamTest : public ::testing::Test {
 protected:
  void Connect() {
    const auto fds = SocketPair();
    accepted_.Accept(fds[0]);
    dialed_.Dial(fds[1]);
    ASSERT_TRUE(accepted_.Handshake().ok());
    const Status status = dialed_.Handshake();
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  End accepted_, dialed_;
};

// `size` bytes from an end, in writes of any length, of which some begin on this thread.
void Send(End* end, uint64_t seed, size_t size) {
  std::string bytes;
  for (size_t sent = 0, draw = 0; sent < size;) {
    const size_t length = 1 + BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, 1, draw), 300'000);
    bytes.resize(std::min(size - sent, length));
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(SplitMix64(seed + (sent + i) / 8) >> 8 * ((sent + i) % 8));
    size_t done = ++draw % 2 == 0 ? end->stream()->WriteNow({asio::buffer(bytes), {}}) : 0;
    while (done < bytes.size()) {
      const Result<size_t> more = end->Write(bytes.substr(done));
      ASSERT_TRUE(more.ok()) << more.status().ToString();
      ASSERT_GT(*more, 0);
      done += *more;
    }
    sent += bytes.size();
  }
}

void Receive(End* end, uint64_t seed, size_t size) {
  for (size_t got = 0, draw = 0; got < size;) {
    const size_t length = 1 + BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, 2, draw++), 500'000);
    const Result<std::string> bytes = end->Read(std::min(size - got, length));
    ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
    for (size_t i = 0; i < bytes->size(); ++i) {
      ASSERT_EQ((*bytes)[i], static_cast<char>(SplitMix64(seed + (got + i) / 8) >> 8 * ((got + i) % 8))) << got + i;
    }
    got += bytes->size();
  }
}

TEST_F(SharedMemoryStreamTest, BytesComeInOrderBothWaysAtOnce) {
  Connect();
  constexpr size_t kBytes = 40 * kRingBytes + 12'345;
  // An end's reads and writes are under way together.
  std::vector<std::thread> threads;
  threads.emplace_back([&] { Send(&accepted_, 1, kBytes); });
  threads.emplace_back([&] { Receive(&accepted_, 2, kBytes); });
  threads.emplace_back([&] { Send(&dialed_, 2, kBytes); });
  threads.emplace_back([&] { Receive(&dialed_, 1, kBytes); });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SharedMemoryStreamTest, AWriteWaitsForRoomAndAReadForBytes) {
  Connect();
  const std::string whole(kRingBytes, 'a');
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer(whole), {}}), kRingBytes);
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer(whole), {}}), 0);
  std::atomic<bool> written = false;
  std::thread writer([&] {
    EXPECT_TRUE(accepted_.Write("b").ok());
    written = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(written);
  EXPECT_EQ(dialed_.Read(2 * kRingBytes).value(), whole);
  writer.join();
  EXPECT_EQ(dialed_.Read(10).value(), "b");
  std::thread reader([&] { EXPECT_EQ(dialed_.Read(10).value(), "later"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer("later", 5), {}}), 5);
  reader.join();
}

TEST_F(SharedMemoryStreamTest, WhatWasWrittenBeforeTheEndIsRead) {
  Connect();
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer("last words", 10), {}}), 10);
  accepted_.OnThread([&] { accepted_.stream()->EndWrites(); });
  EXPECT_EQ(dialed_.Read(100).value(), "last words");
  EXPECT_THAT(dialed_.Read(100).status().message(), HasSubstr("closed the connection"));
  // The other way is open still.
  EXPECT_TRUE(dialed_.Write("answer").ok());
  EXPECT_EQ(accepted_.Read(100).value(), "answer");
}

TEST_F(SharedMemoryStreamTest, APeersDeathIsAnEndForReadsAndWritesThatWait) {
  Connect();
  const std::string whole(kRingBytes, 'a');
  EXPECT_EQ(dialed_.stream()->WriteNow({asio::buffer(whole), {}}), kRingBytes);
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer("dying", 5), {}}), 5);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    accepted_.OnThread([&] { accepted_.stream()->Close(); });
  });
  EXPECT_EQ(dialed_.Write("no room").status().code(), StatusCode::kUnavailable);
  killer.join();
  EXPECT_EQ(dialed_.Read(100).value(), "dying");
  EXPECT_EQ(dialed_.Read(100).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(dialed_.Write("more").status().code(), StatusCode::kUnavailable);
}

TEST_F(SharedMemoryStreamTest, NothingIsReadAfterClosing) {
  Connect();
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer("unread", 6), {}}), 6);
  Status before, after;
  auto byte = std::make_shared<char>();
  dialed_.OnThread([&] {
    dialed_.stream()->Read(asio::buffer(byte.get(), 1),
                           [&before, byte](const Status& status, size_t) { before = status; });
    dialed_.stream()->Close();
    dialed_.stream()->Read(asio::buffer(byte.get(), 1),
                           [&after, byte](const Status& status, size_t) { after = status; });
  });
  dialed_.OnThread([] {});
  EXPECT_EQ(before.code(), StatusCode::kUnavailable);
  EXPECT_EQ(after.code(), StatusCode::kUnavailable);
  EXPECT_EQ(dialed_.stream()->WriteNow({asio::buffer("x", 1), {}}), 0);
}

TEST_F(SharedMemoryStreamTest, ClosingEndsWhatWaits) {
  Connect();
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    dialed_.OnThread([&] { dialed_.stream()->Close(); });
  });
  EXPECT_EQ(dialed_.Read(1).status().code(), StatusCode::kUnavailable);
  closer.join();
}

// The memory as a peer sees it that keeps to no rule: docs/protocol.md has the places.
class HostilePeer {
 public:
  explicit HostilePeer(int socket) : socket_(socket) {
    char offer = 0;
    iovec byte = {&offer, 1};
    alignas(cmsghdr) char descriptor[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &byte;
    message.msg_iovlen = 1;
    message.msg_control = descriptor;
    message.msg_controllen = sizeof(descriptor);
    PCHECK(recvmsg(socket, &message, 0) == 1);
    std::memcpy(&fd_, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    bytes_ = lseek(fd_, 0, SEEK_END);
    memory_ = static_cast<uint8_t*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
    PCHECK(memory_ != MAP_FAILED);
  }
  ~HostilePeer() {
    munmap(memory_, bytes_);
    close(fd_);
    close(socket_);
  }
  // Of ring 0 (to this peer) or 1 (from it).
  void SetWritten(int ring, uint64_t bytes) { Set(192 * ring, bytes); }
  void SetRead(int ring, uint64_t bytes) { Set(192 * ring + 64, bytes); }
  void Ring() { PCHECK(send(socket_, "!", 1, 0) == 1); }
  int fd() const { return fd_; }

 private:
  void Set(size_t at, uint64_t value) { std::memcpy(memory_ + at, &value, sizeof(value)); }

  const int socket_;
  int fd_ = -1;
  off_t bytes_ = 0;
  uint8_t* memory_ = nullptr;
};

TEST_F(SharedMemoryStreamTest, CountersThatCannotBeAreErrors) {
  for (const uint64_t count : {uint64_t{kRingBytes} + 1, uint64_t{1} << 40, ~uint64_t{0}}) {
    const auto fds = SocketPair();
    End end;
    end.Accept(fds[0]);
    ASSERT_TRUE(end.Handshake().ok());
    HostilePeer peer(fds[1]);
    peer.SetWritten(1, count);
    peer.Ring();
    const Result<std::string> read = end.Read(100);
    EXPECT_EQ(read.status().code(), StatusCode::kDataLoss);
    EXPECT_THAT(read.status().message(), HasSubstr("expected at most 1048576 bytes under way"));
    peer.SetRead(0, count / 2);  // more than was written
    EXPECT_EQ(end.stream()->WriteNow({asio::buffer("x", 1), {}}), 0);
    EXPECT_EQ(end.Write("x").status().code(), StatusCode::kDataLoss);
  }
}

TEST_F(SharedMemoryStreamTest, TheMemoryCannotBeCutOff) {
  const auto fds = SocketPair();
  accepted_.Accept(fds[0]);
  ASSERT_TRUE(accepted_.Handshake().ok());
  HostilePeer peer(fds[1]);
  EXPECT_NE(ftruncate(peer.fd(), 0), 0);
  EXPECT_EQ(accepted_.stream()->WriteNow({asio::buffer("x", 1), {}}), 1);
}

// Bells without cause, and more of them than the socket holds, do no harm.
TEST_F(SharedMemoryStreamTest, NeedlessBellsAreTaken) {
  const auto fds = SocketPair();
  accepted_.Accept(fds[0]);
  ASSERT_TRUE(accepted_.Handshake().ok());
  HostilePeer peer(fds[1]);
  std::thread reader([&] { EXPECT_EQ(accepted_.Read(100).value(), std::string(5, '\0')); });
  for (int i = 0; i < 100'000; ++i) (void)send(fds[1], "!", 1, MSG_DONTWAIT);
  peer.SetWritten(1, 5);
  peer.Ring();
  reader.join();
}

TEST_F(SharedMemoryStreamTest, OtherBytesThanBellsAreAnError) {
  const auto fds = SocketPair();
  accepted_.Accept(fds[0]);
  ASSERT_TRUE(accepted_.Handshake().ok());
  PCHECK(send(fds[1], "WEIR", 4, 0) == 4);
  EXPECT_THAT(accepted_.Read(1).status().message(), HasSubstr("expected bells on the socket"));
  close(fds[1]);
}

// Hands over `fd` (-1: none), twice if so asked, with this byte.
void Offer(int socket, char byte, int fd, int times = 1) {
  iovec bytes = {&byte, 1};
  alignas(cmsghdr) char descriptor[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = descriptor;
    message.msg_controllen = CMSG_SPACE(times * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(times * sizeof(int));
    for (int i = 0; i < times; ++i) std::memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof(int));
  }
  PCHECK(sendmsg(socket, &message, 0) == 1);
}

TEST_F(SharedMemoryStreamTest, OnlySealedMemoryOfTheRightSizeIsTaken) {
  const auto outcome = [](char byte, int fd, int times = 1) {
    const auto fds = SocketPair();
    End end;
    end.Dial(fds[0]);
    Offer(fds[1], byte, fd, times);
    const Status status = end.Handshake();
    close(fds[1]);
    return status;
  };
  const int memory = memfd_create("hostile", MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(memory, 4096), 0);
  EXPECT_THAT(outcome('m', memory).message(), HasSubstr("found 4096 bytes with seals 0x0"));
  ASSERT_EQ(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_THAT(outcome('m', memory).message(), HasSubstr("expected two rings"));
  const auto open_files = [] {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return std::distance(begin(files), end(files));
  };
  const auto before = open_files();
  EXPECT_THAT(outcome('m', memory, 2).message(), HasSubstr("expected an offer of shared memory"));
  EXPECT_EQ(open_files(), before);
  close(memory);
  EXPECT_THAT(outcome('m', -1).message(), HasSubstr("expected an offer of shared memory"));
  EXPECT_THAT(outcome('W', -1).message(), HasSubstr("expected an offer of shared memory"));
  const int file = open("/dev/null", O_RDWR);
  EXPECT_EQ(outcome('m', file).code(), StatusCode::kDataLoss);
  close(file);

  const auto fds = SocketPair();
  End end;
  end.Dial(fds[0]);
  close(fds[1]);
  EXPECT_EQ(end.Handshake().code(), StatusCode::kUnavailable);
}

// An end that has no memory to offer.
TEST_F(SharedMemoryStreamTest, WithoutMemoryBytesGoOverTheSocket) {
  const auto fds = SocketPair();
  dialed_.Dial(fds[0]);
  Offer(fds[1], 's', -1);
  ASSERT_TRUE(dialed_.Handshake().ok());
  EXPECT_EQ(dialed_.Write("up").value(), 2);
  char up[3] = {};
  EXPECT_EQ(recv(fds[1], up, 2, 0), 2);
  EXPECT_STREQ(up, "up");
  PCHECK(send(fds[1], "down", 4, 0) == 4);
  EXPECT_EQ(dialed_.Read(10).value(), "down");
  close(fds[1]);
  EXPECT_EQ(dialed_.Read(10).status().code(), StatusCode::kUnavailable);
}

TEST(RingBytesTest, AreBoundedForAllWorkersTogether) {
  EXPECT_EQ(RingBytes(1), kRingBytesMax);
  EXPECT_EQ(RingBytes(16), kRingBytesMax);
  EXPECT_EQ(RingBytes(17), kRingBytesMax / 2);
  EXPECT_EQ(RingBytes(256), kRingBytesMin);
  EXPECT_EQ(RingBytes(100'000), kRingBytesMin);
}

// As a transport is stopped: what waits is dropped with its handler, which holds the stream as a connection's do.
TEST_F(SharedMemoryStreamTest, WhatWaitsWhenTheThreadEndsIsDropped) {
  const auto fds = SocketPair();
  auto held = std::make_shared<int>(0);
  {
    asio::io_context io;
    std::shared_ptr<Stream> stream = AcceptSharedMemory(Take(&io, fds[0]), kRingBytes);
    const std::string whole(kRingBytes, 'a');
    EXPECT_EQ(stream->WriteNow({asio::buffer(whole), {}}), kRingBytes);
    char byte = 0;
    stream->Read(asio::buffer(&byte, 1), [held, stream](const Status&, size_t) { FAIL() << "nothing came"; });
    stream->Write({asio::buffer(whole), {}}, [held, stream](const Status&, size_t) { FAIL() << "there is no room"; });
    stream.reset();
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
  close(fds[1]);
}

}  // namespace
}  // namespace weir::testing
