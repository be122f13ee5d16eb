// Connection: one framed socket (TCP or Unix) of the parameter protocol, the same at both ends.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>

#include "base/status.h"
#include "param_server/protocol.h"

namespace weir {

// Asked of the system for what a Unix socket holds (it may give less): its default of 208 KiB would stop writer and
// reader several times in a frame of rows. TCP sizes its own.
inline constexpr int kUnixSendBytes = 4 << 20;

// Held by shared_ptr; its handlers keep it alive until it is closed. Send may be called from any thread, all else only
// from the thread that runs the io_context, on which the callbacks come too. Memory is bounded by the payload bound for
// reading and, for writing, by what the owner sends before the peer reads (bounded by the requests it admits).
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  // An error closes the connection with it.
  using OnFrame = std::function<Status(const FrameHeader&, Buffer)>;
  // Called once; Unavailable if the peer closed or the network failed, else what Close or on_frame said.
  using OnClose = std::function<void(const Status&)>;

  Connection(Socket socket, const JobToken& token, int64_t payload_bytes_max);

  void Start(OnFrame on_frame, OnClose on_close);
  void set_payload_bytes_max(int64_t bytes_max) { payload_bytes_max_ = bytes_max; }

  // Queues a frame, or writes it at once from the calling thread as far as the socket takes it. Silently does nothing
  // once closed: on_close says why.
  void Send(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload);

  // Closes once all that was sent is written and the peer has closed its side; frames that still come are discarded.
  // (Closing with unread bytes would reset the connection, and the peer could lose the last frames.) The owner bounds
  // the wait with Close.
  void CloseAfterWrites();
  // `reason` must be an error.
  void Close(const Status& reason);

  bool closed() const { return closed_seen_; }
  // Steady time at which bytes last came.
  int64_t last_heard_ns() const { return last_heard_ns_; }
  // After a stall of our own process: what the peer sent meanwhile is yet to be read.
  void ForgiveSilence(int64_t now_ns) { last_heard_ns_ = now_ns; }

 private:
  struct OutFrame {
    std::array<uint8_t, kFrameHeaderBytes> header;
    Buffer payload;
    size_t sent_bytes = 0;
  };

  void ReadHeader(size_t have_bytes);
  void OnHeader();
  void ReadPayload(size_t have_bytes);
  void OnPayload();
  void SendNow(OutFrame* frame);
  void WriteNext();
  void OnWritten(size_t bytes);
  void EndWrites();

  Socket socket_;
  const JobToken token_;
  int64_t payload_bytes_max_;
  OnFrame on_frame_;
  OnClose on_close_;
  std::array<uint8_t, kFrameHeaderBytes> header_bytes_{};
  FrameHeader header_;
  Buffer payload_;
  std::atomic<int64_t> last_heard_ns_;
  std::atomic<bool> closed_seen_ = false;

  std::mutex mutex_;  // guards what follows, and writes to the socket while writing_ is false
  std::deque<OutFrame> out_;
  bool writing_ = false;  // the I/O thread is writing the first of out_
  bool ending_ = false;   // CloseAfterWrites was called
  bool closed_ = false;
};

}  // namespace weir
