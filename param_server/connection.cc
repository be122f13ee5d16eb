#include "param_server/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <vector>

#include <fmt/format.h>
#include <asio/buffer.hpp>
#include <asio/post.hpp>

#include "base/clock.h"
#include "base/crc32c.h"

namespace weir {
namespace {

Status SocketStatus(const asio::error_code& error) {
  if (error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe) {
    return Unavailable("closed the connection");
  }
  return Unavailable(fmt::format("connection failed: {}", error.message()));
}

bool IsUnix(const Connection::Socket& socket) {
  asio::error_code error;
  const auto endpoint = socket.local_endpoint(error);
  return !error && endpoint.protocol().family() == AF_UNIX;
}

}  // namespace

Connection::Connection(Socket socket, std::string peer, const JobToken& token, int64_t payload_bytes_max)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      token_(token),
      may_break_(!IsUnix(socket_)),
      payload_bytes_max_(payload_bytes_max),
      last_heard_ns_(SystemClock().SteadyNanos()) {}

void Connection::Start(OnFrame on_frame, OnClose on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  ReadHeader(0);
}

void Connection::ReadHeader(size_t have_bytes) {
  socket_.async_read_some(asio::buffer(header_bytes_.data() + have_bytes, kFrameHeaderBytes - have_bytes),
                          [self = shared_from_this(), have_bytes](const asio::error_code& error, size_t bytes) {
                            if (error) return self->Close(SocketStatus(error));
                            self->last_heard_ns_ = SystemClock().SteadyNanos();
                            if (have_bytes + bytes < kFrameHeaderBytes) return self->ReadHeader(have_bytes + bytes);
                            self->OnHeader();
                          });
}

void Connection::OnHeader() {
  Result<FrameHeader> header = DecodeHeader(header_bytes_, token_, payload_bytes_max_);
  if (!header.ok()) return Close(header.status());
  header_ = *header;
  payload_ = Buffer(header_.payload_bytes);
  if (payload_.size() == 0) return OnPayload();
  ReadPayload(0);
}

void Connection::ReadPayload(size_t have_bytes) {
  socket_.async_read_some(asio::buffer(payload_.data() + have_bytes, payload_.size() - have_bytes),
                          [self = shared_from_this(), have_bytes](const asio::error_code& error, size_t bytes) {
                            if (error) return self->Close(SocketStatus(error));
                            self->last_heard_ns_ = SystemClock().SteadyNanos();
                            if (have_bytes + bytes < self->payload_.size()) {
                              return self->ReadPayload(have_bytes + bytes);
                            }
                            self->OnPayload();
                          });
}

void Connection::OnPayload() {
  const uint32_t crc = Crc32c(payload_.data(), payload_.size());
  if (crc != header_.payload_crc32c) {
    return Close(DataLoss(fmt::format("CRC32C of a {} frame: expected {:08x}, found {:08x}",
                                      MessageTypeName(header_.type), header_.payload_crc32c, crc)));
  }
  bool ending;
  {
    std::lock_guard lock(mutex_);
    ending = ending_;
  }
  if (!ending) {
    const Status status = on_frame_(header_, std::move(payload_));
    if (!status.ok()) return Close(status);
  }
  payload_ = Buffer();
  if (!closed_seen_) ReadHeader(0);
}

void Connection::Send(std::shared_ptr<const Frame> frame, uint64_t acknowledged) {
  OutFrame out{.header = {}, .frame = std::move(frame)};
  EncodeHeader({.type = out.frame->type,
                .payload_bytes = out.frame->payload.size(),
                .request_id = out.frame->request_id,
                .timeout_ms = out.frame->timeout_ms,
                .payload_crc32c = out.frame->payload_crc32c,
                .sequence = out.frame->sequence,
                .acknowledged = acknowledged},
               token_, out.header);
  std::lock_guard lock(mutex_);
  if (closed_ || ending_) return;
  if (writing_) {
    out_.push_back(std::move(out));
    return;
  }
  SendNow(&out);
  if (out.sent_bytes == out.size()) return;
  out_.push_back(std::move(out));
  writing_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->WriteNext(); });
}

// Saves a change of threads when the socket has room, which it mostly has. An error is left for the next write to find.
void Connection::SendNow(OutFrame* frame) {
  const Buffer& payload = frame->frame->payload;
  iovec parts[2] = {{frame->header.data(), kFrameHeaderBytes}, {const_cast<uint8_t*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  const ssize_t sent = sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) frame->sent_bytes = static_cast<size_t>(sent);
}

// Writes what is left of the first frame in out_.
void Connection::WriteNext() {
  std::array<asio::const_buffer, 2> parts;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    const OutFrame& frame = out_.front();
    const Buffer& payload = frame.frame->payload;
    const size_t header_sent = std::min(frame.sent_bytes, kFrameHeaderBytes);
    const size_t payload_sent = frame.sent_bytes - header_sent;
    parts[0] = asio::buffer(frame.header.data() + header_sent, kFrameHeaderBytes - header_sent);
    parts[1] = asio::buffer(payload.data() + payload_sent, payload.size() - payload_sent);
  }
  socket_.async_write_some(parts, [self = shared_from_this()](const asio::error_code& error, size_t bytes) {
    if (error) return self->Close(SocketStatus(error));
    self->OnWritten(bytes);
  });
}

void Connection::OnWritten(size_t bytes) {
  bool more = true;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    OutFrame& frame = out_.front();
    frame.sent_bytes += bytes;
    if (frame.sent_bytes == frame.size()) {
      out_.pop_front();
      more = writing_ = !out_.empty();
      if (!more && ending_) EndWrites();
    }
  }
  if (more) WriteNext();
}

void Connection::EndWrites() {
  asio::error_code error;
  socket_.shutdown(asio::socket_base::shutdown_send, error);
}

void Connection::CloseAfterWrites() {
  std::lock_guard lock(mutex_);
  if (closed_ || ending_) return;
  ending_ = true;
  if (!writing_) EndWrites();
}

void Connection::Close(const Status& reason) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    out_.clear();
    asio::error_code error;
    socket_.close(error);
  }
  closed_seen_ = true;
  OnClose on_close = std::move(on_close_);
  if (on_close) on_close(reason);
}

}  // namespace weir
