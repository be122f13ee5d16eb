// Connection: a stream of bytes (stream.h) with the parameter protocol's frames, the same at both ends.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"
#include "param_server/protocol.h"
#include "param_server/stream.h"
#include "param_server/transport.h"

namespace weir {

// Its handlers keep it alive until it is closed. Frames that are sent before its stream's handshake is done wait for
// it; where that fails, the connection is closed with the reason. Memory is bounded by the payload bound for
// reading and, for writing, by what the owner sends before the peer reads (bounded by the requests it admits).
class Connection : public Channel, public std::enable_shared_from_this<Connection> {
 public:
  using Socket = Stream::Socket;

  Connection(std::unique_ptr<Stream> stream, std::string peer, const JobToken& token, int64_t payload_bytes_max);

  void Start(OnFrame on_frame, OnClose on_close) override;
  void set_payload_bytes_max(int64_t bytes_max) override { payload_bytes_max_ = bytes_max; }
  void Send(std::shared_ptr<const Frame> frame, uint64_t acknowledged) override;
  void CloseAfterWrites() override;
  void Close(const Status& reason) override;
  bool closed() const override { return closed_seen_; }
  int64_t last_heard_ns() const override;
  bool may_break() const override { return !stream_->is_unix(); }
  std::string peer() const override { return peer_; }

 private:
  struct OutFrame {
    std::array<uint8_t, kFrameHeaderBytes> header;
    std::shared_ptr<const Frame> frame;
    size_t sent_bytes = 0;

    size_t size() const { return kFrameHeaderBytes + frame->payload.size(); }
    Stream::WriteBuffers unsent() const;
  };

  void OnReady(const Status& status);
  void ReadHeader(size_t have_bytes);
  void OnHeader();
  void ReadPayload(size_t have_bytes);
  void OnPayload();
  void WriteNext();
  void OnWritten(size_t bytes);

  const std::unique_ptr<Stream> stream_;
  const std::string peer_;
  const JobToken token_;
  int64_t payload_bytes_max_;
  OnFrame on_frame_;
  OnClose on_close_;
  std::array<uint8_t, kFrameHeaderBytes> header_bytes_{};
  FrameHeader header_;
  Buffer payload_;
  mutable std::atomic<int64_t> last_heard_ns_;
  mutable size_t unread_ = 0;  // of the stream when it was last looked at; since the last read
  std::atomic<bool> closed_seen_ = false;

  std::mutex mutex_;  // guards what follows, and writes to the stream while writing_ is false
  std::deque<OutFrame> out_;
  bool writing_ = false;  // the I/O thread is writing the first of out_, or shakes hands
  bool ending_ = false;   // CloseAfterWrites was called
  bool closed_ = false;
};

}  // namespace weir
