#include "param_server/stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace weir {
namespace {

class SocketStream : public Stream {
 public:
  explicit SocketStream(Socket socket) : socket_(std::move(socket)), is_unix_(IsUnix(socket_)) {}

  void Handshake(OnReady done) override { done(Status()); }

  void Read(asio::mutable_buffer to, OnBytes done) override {
    if (Unread() == 0) SetLowWater(std::min(to.size(), kLowWaterMax));
    socket_.async_read_some(asio::buffer(to), [done = std::move(done)](const asio::error_code& error, size_t bytes) {
      done(error ? SocketStatus(error) : Status(), bytes);
    });
  }

  void Write(const WriteBuffers& from, OnBytes done) override {
    socket_.async_write_some(from, [done = std::move(done)](const asio::error_code& error, size_t bytes) {
      done(error ? SocketStatus(error) : Status(), bytes);
    });
  }

  size_t WriteNow(const WriteBuffers& from) override {
    iovec parts[2];
    for (size_t i = 0; i < from.size(); ++i) parts[i] = {const_cast<void*>(from[i].data()), from[i].size()};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = from.size();
    const ssize_t sent = sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }

  void EndWrites() override {
    asio::error_code error;
    socket_.shutdown(asio::socket_base::shutdown_send, error);
  }

  void Close() override {
    asio::error_code error;
    socket_.close(error);
  }

  bool is_unix() const override { return is_unix_; }
  asio::any_io_executor executor() override { return socket_.get_executor(); }
  size_t Unread() override { return socket_.available(ignored_); }

 private:
  // Of a frame of rows, which comes in parts, each would wake the thread.
  static constexpr size_t kLowWaterMax = 128 << 10;

  // The thread is woken once so much has come, or the end. A system that refuses wakes it for each part.
  void SetLowWater(size_t bytes) {
    if (is_unix_ || bytes == low_water_) return;
    socket_.set_option(asio::socket_base::receive_low_watermark(static_cast<int>(bytes)), ignored_);
    low_water_ = bytes;
  }

  Socket socket_;
  asio::error_code ignored_;
  size_t low_water_ = 1;
  const bool is_unix_;
};

}  // namespace

std::unique_ptr<Stream> MakeSocketStream(Stream::Socket socket) {
  return std::make_unique<SocketStream>(std::move(socket));
}

bool IsUnix(const Stream::Socket& socket) {
  asio::error_code error;
  const auto endpoint = socket.local_endpoint(error);
  return !error && endpoint.protocol().family() == AF_UNIX;
}

Status SocketStatus(const asio::error_code& error) {
  if (error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe) {
    return Unavailable("closed the connection");
  }
  return Unavailable(fmt::format("connection failed: {}", error.message()));
}

}  // namespace weir
