#include "param_server/connection.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <asio/buffer.hpp>
#include <asio/post.hpp>

#include "base/clock.h"
#include "base/crc32c.h"

namespace weir {

Connection::Connection(std::unique_ptr<Stream> stream, std::string peer, const JobToken& token,
                       int64_t payload_bytes_max)
    : stream_(std::move(stream)),
      peer_(std::move(peer)),
      token_(token),
      payload_bytes_max_(payload_bytes_max),
      last_heard_ns_(SystemClock().SteadyNanos()) {}

void Connection::Start(OnFrame on_frame, OnClose on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  {
    std::lock_guard lock(mutex_);
    writing_ = true;
  }
  stream_->Handshake([self = shared_from_this()](const Status& status) { self->OnReady(status); });
}

void Connection::OnReady(const Status& status) {
  if (!status.ok()) return Close(status);
  bool more;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    more = writing_ = !out_.empty();
    if (!more && ending_) stream_->EndWrites();
  }
  if (more) WriteNext();
  ReadHeader(0);
}

// A part of a frame that is not read yet, for more of it is to come, is a sign of life, too.
int64_t Connection::last_heard_ns() const {
  const size_t unread = stream_->Unread();
  if (unread > unread_) last_heard_ns_ = SystemClock().SteadyNanos();
  unread_ = unread;
  return last_heard_ns_;
}

void Connection::ReadHeader(size_t have_bytes) {
  stream_->Read(asio::buffer(header_bytes_.data() + have_bytes, kFrameHeaderBytes - have_bytes),
                [self = shared_from_this(), have_bytes](const Status& status, size_t bytes) {
                  if (!status.ok()) return self->Close(status);
                  self->last_heard_ns_ = SystemClock().SteadyNanos();
                  self->unread_ = 0;
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
  stream_->Read(asio::buffer(payload_.data() + have_bytes, payload_.size() - have_bytes),
                [self = shared_from_this(), have_bytes](const Status& status, size_t bytes) {
                  if (!status.ok()) return self->Close(status);
                  self->last_heard_ns_ = SystemClock().SteadyNanos();
                  self->unread_ = 0;
                  if (have_bytes + bytes < self->payload_.size()) return self->ReadPayload(have_bytes + bytes);
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
  // Saves a change of threads when the socket has room, which it mostly has.
  out.sent_bytes = stream_->WriteNow(out.unsent());
  if (out.sent_bytes == out.size()) return;
  out_.push_back(std::move(out));
  writing_ = true;
  asio::post(stream_->executor(), [self = shared_from_this()] { self->WriteNext(); });
}

Stream::WriteBuffers Connection::OutFrame::unsent() const {
  const Buffer& payload = frame->payload;
  const size_t header_sent = std::min(sent_bytes, kFrameHeaderBytes);
  const size_t payload_sent = sent_bytes - header_sent;
  return {asio::buffer(header.data() + header_sent, kFrameHeaderBytes - header_sent),
          asio::buffer(payload.data() + payload_sent, payload.size() - payload_sent)};
}

// Writes what is left of the first frame in out_.
void Connection::WriteNext() {
  Stream::WriteBuffers parts;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    parts = out_.front().unsent();
  }
  stream_->Write(parts, [self = shared_from_this()](const Status& status, size_t bytes) {
    if (!status.ok()) return self->Close(status);
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
      if (!more && ending_) stream_->EndWrites();
    }
  }
  if (more) WriteNext();
}

void Connection::CloseAfterWrites() {
  std::lock_guard lock(mutex_);
  if (closed_ || ending_) return;
  ending_ = true;
  if (!writing_) stream_->EndWrites();
}

void Connection::Close(const Status& reason) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    out_.clear();
    stream_->Close();
  }
  closed_seen_ = true;
  OnClose on_close = std::move(on_close_);
  if (on_close) on_close(reason);
}

}  // namespace weir
