// Link: the frames between a worker and a server, each handled once and in order, over one connection after another.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "base/status.h"
#include "param_server/transport.h"

namespace weir {

// One end. Numbers the frames it sends 1, 2, ... for the whole session, and keeps each until the peer has acknowledged
// it (every frame carries an acknowledgement); a connection that takes over from a broken one begins with those that
// the peer lacks. What comes twice is dropped by its number, a gap is an error of the connection. docs/protocol.md,
// "Sessions".
//
// Send may be called from any thread, all else from the transport's. Memory: the frames that are not acknowledged, at
// most kFramesKeptMax; none where a channel cannot break.
class Link {
 public:
  // More than requests and answers can be under way: kRequestsMax of each side, and pushes.
  static constexpr size_t kFramesKeptMax = 4 * kRequestsMax;

  // Without a channel the frame waits for one. Past kFramesKeptMax it is dropped, and the link is over.
  void Send(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload);
  // Not numbered and never sent again: for what is only true now. Dropped without a channel.
  void SendOnce(MessageType type, Buffer payload);

  // Takes over a connection whose peer has all frames up to peer_received; sends it the others. DataLoss if that is a
  // number that was not sent, or one that was acknowledged before.
  Status Attach(std::shared_ptr<Channel> channel, uint64_t peer_received);
  // The channel is not used any more; what is sent waits.
  void Detach();
  // The peer is gone for good: frames are dropped from now on.
  void End();

  // Whether a frame that came is to be handled; false if it came before. DataLoss: a gap, or an acknowledgement of what
  // was not sent; the connection is then of no use.
  Result<bool> Receive(const FrameHeader& header);
  // Holds what a heartbeat says that the peer has sent to what came.
  Status CheckSent(uint64_t sent_by_peer) const;

  // The peer did not acknowledge: more than kFramesKeptMax frames would have had to be kept.
  bool overflowed() const;

  uint64_t received() const { return received_; }
  uint64_t sent() const;
  size_t frames_kept() const;

 private:
  Status Acknowledge(uint64_t sequence);

  std::atomic<uint64_t> received_ = 0;

  mutable std::mutex mutex_;  // guards what follows; held while a frame is handed to the channel, which keeps the order
  std::shared_ptr<Channel> channel_;
  std::deque<std::shared_ptr<const Frame>> kept_;  // sent, not acknowledged, in order
  uint64_t sent_ = 0;
  uint64_t acknowledged_ = 0;
  bool keeps_ = true;
  bool ended_ = false;
  bool overflowed_ = false;
};

}  // namespace weir
