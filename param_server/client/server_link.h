// ServerLink: a worker's connection to one server: opened, and mended when it breaks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "param_server/link.h"
#include "param_server/transport.h"

namespace weir {

struct ServerLinkOptions {
  ServerAddress address;
  Hello hello;  // epoch and received are set here
  int64_t silence_ns = 0;
  std::string name;  // for the log: "worker 0: server 1 (127.0.0.1:5000)"
};

// All on the transport's thread.
struct ServerLinkEvents {
  // Each frame of the server once and in order, but those of the handshake. An error ends the link with it.
  std::function<Status(const FrameHeader&, Buffer)> on_frame;
  // The first connection stands.
  std::function<void(const Welcome&)> on_welcome;
  // The link is over, once: Left's end, or an error that cannot be mended.
  std::function<void(const Status&)> on_over;
};

// A server that has not been heard for `silence` is dead. Until then a connection that breaks is opened again, and
// frames that were lost with it go out again (link.h); where only the server's end closes a connection (a Unix socket),
// it is dead at once, and where its port refuses, after 5 s. One that is silent for half of that time is given up for
// another. docs/protocol.md, "Sessions".
//
// Send may be called from any thread, all else from the transport's, whose thread must have ended when it is destroyed.
class ServerLink {
 public:
  ServerLink(Transport* transport, ServerLinkOptions options, ServerLinkEvents events);

  void Open();
  void Send(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload) {
    link_.Send(type, request_id, timeout_ms, std::move(payload));
  }
  void SendHeartbeat(int64_t step);
  // Watches the deadlines; several times per `silence`. `stalled`: this process was stopped or starved, so that what
  // the server sent meanwhile has yet to be read.
  void Tick(bool stalled);
  // Sends a last frame (Goodbye or Error) and closes when the server does. A break is then no failure.
  void Leave(MessageType last, Buffer payload);
  // `reason` must be an error; on_over is called with it.
  void Close(const Status& reason);

 private:
  enum class State { kIdle, kDialing, kGreeting, kUp, kWaiting, kLeaving, kOver };

  void OnDialed(Result<std::shared_ptr<Channel>> dialed);
  void Greet(std::shared_ptr<Channel> channel);
  Status OnFrame(const FrameHeader& header, Buffer payload);
  Status OnHandshakeFrame(const FrameHeader& header, const Buffer& payload);
  Status OnWelcome(const Welcome& welcome);
  void OnChannelClosed(const Status& reason);
  void OnBreak(const Status& reason);
  void Retry(const Status& reason);
  void WatchSilence(int64_t now_ns);
  int64_t Now() const { return transport_->clock().SteadyNanos(); }

  Transport* const transport_;
  const ServerLinkOptions options_;
  const ServerLinkEvents events_;
  const int64_t greeting_ns_;  // for a dial, and until the Welcome
  Link link_;
  State state_ = State::kIdle;
  uint32_t epoch_ = 0;  // connections tried; callbacks of an earlier one are ignored
  std::shared_ptr<Channel> channel_;
  bool welcomed_ = false;     // once
  int64_t heard_ns_ = 0;      // when the server was last heard
  int64_t state_ns_ = 0;      // since when it dials, greets
  int64_t retry_ns_ = 0;      // when to try again
  int64_t backoff_ns_ = 0;    // before the next try
  int64_t refused_ns_ = 0;    // since when its port refuses; 0: it does not
  int64_t broken_ns_ = 0;     // when the last connection broke
  int closed_greetings_ = 0;  // in a row
  int breaks_ = 0;            // in a row, each within `silence` of the last, without a frame of the server between
  uint64_t received_at_break_ = 0;
  Status last_trouble_;
};

}  // namespace weir
