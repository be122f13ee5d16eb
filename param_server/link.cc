#include "param_server/link.h"

#include <utility>

#include <fmt/format.h>

#include "base/crc32c.h"

namespace weir {

Frame::Frame(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload)
    : type(type),
      request_id(request_id),
      timeout_ms(timeout_ms),
      payload(std::move(payload)),
      payload_crc32c(Crc32c(this->payload.data(), this->payload.size())) {}

void Link::Send(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload) {
  auto frame = std::make_shared<Frame>(type, request_id, timeout_ms, std::move(payload));
  std::lock_guard lock(mutex_);
  if (ended_) return;
  if (keeps_ && kept_.size() == kFramesKeptMax) {
    overflowed_ = ended_ = true;
    return;
  }
  frame->sequence = ++sent_;
  if (keeps_) kept_.push_back(frame);
  if (channel_) channel_->Send(std::move(frame), received_);
}

void Link::SendOnce(MessageType type, Buffer payload) {
  auto frame = std::make_shared<Frame>(type, 0, 0, std::move(payload));
  std::lock_guard lock(mutex_);
  if (channel_) channel_->Send(std::move(frame), received_);
}

Status Link::Attach(std::shared_ptr<Channel> channel, uint64_t peer_received) {
  std::lock_guard lock(mutex_);
  if (peer_received < acknowledged_ || peer_received > sent_) {
    return DataLoss(
        fmt::format("the peer has frames up to {}: expected {} to {}", peer_received, acknowledged_, sent_));
  }
  acknowledged_ = peer_received;
  while (!kept_.empty() && kept_.front()->sequence <= peer_received) kept_.pop_front();
  channel_ = std::move(channel);
  for (const auto& frame : kept_) channel_->Send(frame, received_);
  keeps_ = channel_->may_break();
  if (!keeps_) kept_.clear();
  return Status();
}

void Link::Detach() {
  std::lock_guard lock(mutex_);
  channel_ = nullptr;
}

void Link::End() {
  std::lock_guard lock(mutex_);
  ended_ = true;
  channel_ = nullptr;
  kept_.clear();
}

Status Link::Acknowledge(uint64_t sequence) {
  std::lock_guard lock(mutex_);
  if (sequence > sent_) return DataLoss(fmt::format("frame {} is acknowledged, {} were sent", sequence, sent_));
  if (sequence <= acknowledged_) return Status();
  acknowledged_ = sequence;
  while (!kept_.empty() && kept_.front()->sequence <= sequence) kept_.pop_front();
  return Status();
}

Result<bool> Link::Receive(const FrameHeader& header) {
  WEIR_RETURN_IF_ERROR(Acknowledge(header.acknowledged));
  if (header.sequence == 0) return true;
  if (header.sequence <= received_) return false;
  if (header.sequence != received_ + 1) {
    return DataLoss(fmt::format("{} frame: expected number {}, found {}", MessageTypeName(header.type), received_ + 1,
                                header.sequence));
  }
  received_ = header.sequence;
  return true;
}

Status Link::CheckSent(uint64_t sent_by_peer) const {
  if (sent_by_peer <= received_) return Status();
  return DataLoss(fmt::format("frames up to {} were sent, {} have come", sent_by_peer, received_.load()));
}

bool Link::overflowed() const {
  std::lock_guard lock(mutex_);
  return overflowed_;
}

uint64_t Link::sent() const {
  std::lock_guard lock(mutex_);
  return sent_;
}

size_t Link::frames_kept() const {
  std::lock_guard lock(mutex_);
  return kept_.size();
}

}  // namespace weir
