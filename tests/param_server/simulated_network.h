// A network on virtual time that loses, delays, doubles, reorders and damages frames, breaks connections and falls into
// parts, as a seed says. Ranks talk over it through the Transport that they use sockets by in a job.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "param_server/transport.h"
#include "tests/param_server/simulated_time.h"

namespace weir::testing {

// Chances are per frame.
struct NetworkFaults {
  double drop = 0;
  double twice = 0;
  double reorder = 0;
  double damage = 0;
  double break_connection = 0;
  int64_t latency_max_ns = kNanosPerMilli;
};

// What a rank's channels know of its transport.
struct SimulatedRank {
  bool stopped = false;
  uint64_t activity = 0;  // callbacks that ran
};

class SimulatedNetwork {
 public:
  SimulatedNetwork(SimulatedTime* time, NetworkFaults faults) : time_(*time), faults_(faults) {}

  SimulatedTime& time() { return time_; }
  const NetworkFaults& faults() const { return faults_; }

  // Nothing passes between these two hosts, either way, until Heal.
  void Cut(const std::string& a, const std::string& b) { cuts_.insert(std::minmax(a, b)); }
  void Heal() { cuts_.clear(); }
  // Alone for ever: the host has lost its power, or its process is stopped for good.
  void Isolate(const std::string& host) { alone_.insert(host); }
  bool Passes(const std::string& a, const std::string& b) const {
    return alone_.count(a) == 0 && alone_.count(b) == 0 && cuts_.count(std::minmax(a, b)) == 0;
  }
  int64_t Latency() { return 20'000 + static_cast<int64_t>(time_.Random(faults_.latency_max_ns)); }

  struct Listening {
    std::string host;
    JobToken token{};
    int64_t payload_bytes_max = 0;
    std::function<void(std::shared_ptr<Channel>)> on_accepted;
    SimulatedRank* rank = nullptr;
  };
  std::map<int, Listening>& ports() { return ports_; }
  int next_port() { return next_port_++; }

  // Frames that someone still holds, in a queue or to send them again.
  void Watch(const std::shared_ptr<const Frame>& frame) {
    if (watched_.size() == watched_max_) {
      std::erase_if(watched_, [](const auto& weak) { return weak.expired(); });
      frames_held_max_ = std::max(frames_held_max_, watched_.size());
      watched_max_ = 2 * watched_.size() + 64;
    }
    watched_.push_back(frame);
  }
  size_t frames_held_max() const { return frames_held_max_; }

 private:
  SimulatedTime& time_;
  const NetworkFaults faults_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::set<std::string> alone_;
  std::map<int, Listening> ports_;
  int next_port_ = 5000;
  std::vector<std::weak_ptr<const Frame>> watched_;
  size_t watched_max_ = 64;
  size_t frames_held_max_ = 0;
};

// One end of a connection. Frames go as bytes, header and all.
class SimulatedChannel : public Channel, public std::enable_shared_from_this<SimulatedChannel> {
 public:
  SimulatedChannel(SimulatedNetwork* network, std::string host, std::string peer_host, const JobToken& token,
                   int64_t payload_bytes_max, SimulatedRank* rank)
      : network_(*network),
        time_(network->time()),
        host_(std::move(host)),
        peer_host_(std::move(peer_host)),
        token_(token),
        payload_bytes_max_(payload_bytes_max),
        rank_(*rank),
        last_heard_ns_(time_.SteadyNanos()) {}

  static void Join(const std::shared_ptr<SimulatedChannel>& a, const std::shared_ptr<SimulatedChannel>& b) {
    a->peer_ = b;
    b->peer_ = a;
  }

  void Start(OnFrame on_frame, OnClose on_close) override {
    on_frame_ = std::move(on_frame);
    on_close_ = std::move(on_close);
  }
  void set_payload_bytes_max(int64_t bytes_max) override { payload_bytes_max_ = bytes_max; }
  bool closed() const override { return closed_; }
  int64_t last_heard_ns() const override { return last_heard_ns_; }
  bool may_break() const override { return true; }
  std::string peer() const override { return peer_host_; }

  void Send(std::shared_ptr<const Frame> frame, uint64_t acknowledged) override {
    if (closed_ || ending_) return;
    network_.Watch(frame);
    const NetworkFaults& faults = network_.faults();
    if (time_.Chance(faults.break_connection)) return Break();
    if (!network_.Passes(host_, peer_host_) || time_.Chance(faults.drop)) return;
    auto bytes = std::make_shared<std::vector<uint8_t>>(kFrameHeaderBytes + frame->payload.size());
    EncodeHeader({.type = frame->type,
                  .payload_bytes = frame->payload.size(),
                  .request_id = frame->request_id,
                  .timeout_ms = frame->timeout_ms,
                  .payload_crc32c = frame->payload_crc32c,
                  .sequence = frame->sequence,
                  .acknowledged = acknowledged},
                 token_, std::span(*bytes).first<kFrameHeaderBytes>());
    if (frame->payload.size() > 0) {
      std::memcpy(bytes->data() + kFrameHeaderBytes, frame->payload.data(), frame->payload.size());
    }
    if (time_.Chance(faults.damage)) (*bytes)[time_.Random(bytes->size())] ^= 1 << time_.Random(8);
    const int copies = time_.Chance(faults.twice) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      int64_t at_ns = time_.SteadyNanos() + network_.Latency();
      if (!time_.Chance(faults.reorder)) at_ns = arrives_ns_ = std::max(arrives_ns_, at_ns);
      time_.At(at_ns, [peer = peer_, bytes] {
        if (const auto held = peer.lock()) held->Arrive(*bytes);
      });
    }
  }

  void CloseAfterWrites() override {
    if (closed_ || ending_) return;
    ending_ = true;
    SendEnd();
  }

  void Close(const Status& reason) override {
    if (closed_) return;
    closed_ = true;
    if (!ending_) SendEnd();
    OnClose on_close = std::move(on_close_);
    on_frame_ = nullptr;
    ++rank_.activity;
    if (on_close && !rank_.stopped) on_close(reason);
  }

  // Both ends see it, each in its time; what is under way is lost.
  void Break() {
    for (const auto& end : {shared_from_this(), peer_.lock()}) {
      if (!end) continue;
      end->lost_ = true;
      time_.At(time_.SteadyNanos() + network_.Latency(), [end] { end->Close(Unavailable("connection reset")); });
    }
  }

 private:
  void SendEnd() {
    const int64_t at_ns = std::max(arrives_ns_, time_.SteadyNanos() + network_.Latency());
    time_.At(at_ns, [peer = peer_, self = shared_from_this()] {
      const auto held = peer.lock();
      if (held && self->network_.Passes(self->host_, self->peer_host_)) {
        held->Close(Unavailable("closed the connection"));
      }
    });
  }

  void Arrive(const std::vector<uint8_t>& bytes) {
    if (closed_ || lost_ || rank_.stopped || !network_.Passes(host_, peer_host_)) return;
    last_heard_ns_ = time_.SteadyNanos();
    ++rank_.activity;
    const auto header = DecodeHeader(std::span(bytes).first<kFrameHeaderBytes>(), token_, payload_bytes_max_);
    if (!header.ok()) return Close(header.status());
    Buffer payload(bytes.size() - kFrameHeaderBytes);
    if (payload.size() > 0) std::memcpy(payload.data(), bytes.data() + kFrameHeaderBytes, payload.size());
    if (Crc32c(payload.data(), payload.size()) != header->payload_crc32c) return Close(DataLoss("CRC32C of a frame"));
    if (ending_ || !on_frame_) return;
    const auto self = shared_from_this();
    const OnFrame on_frame = on_frame_;
    const Status status = on_frame(*header, std::move(payload));
    if (!status.ok()) Close(status);
  }

  SimulatedNetwork& network_;
  SimulatedTime& time_;
  const std::string host_;
  const std::string peer_host_;
  const JobToken token_;
  int64_t payload_bytes_max_;
  SimulatedRank& rank_;
  std::weak_ptr<SimulatedChannel> peer_;
  OnFrame on_frame_;
  OnClose on_close_;
  int64_t arrives_ns_ = 0;  // when the last frame sent comes, unless it was reordered
  int64_t last_heard_ns_;
  bool ending_ = false;
  bool closed_ = false;
  bool lost_ = false;
};

// What one rank has of the network. Outlives the simulation's events.
class SimulatedTransport : public Transport, public std::enable_shared_from_this<SimulatedTransport> {
 public:
  SimulatedTransport(SimulatedNetwork* network, std::string host, const JobToken& token, int64_t payload_bytes_max)
      : network_(*network),
        time_(network->time()),
        host_(std::move(host)),
        token_(token),
        bytes_max_(payload_bytes_max) {}

  const Clock& clock() const override { return time_; }
  void Post(std::function<void()> work) override { After(0, std::move(work)); }
  bool Run(const std::function<void()>& work) override {
    if (!rank_.stopped) work();
    return !rank_.stopped;
  }
  void After(int64_t delay_ns, std::function<void()> work) override {
    time_.At(time_.SteadyNanos() + delay_ns, [self = shared_from_this(), work = std::move(work)] {
      ++self->rank_.activity;
      if (!self->rank_.stopped) work();
    });
  }
  void Wait(std::unique_lock<std::mutex>& lock, std::condition_variable&, int64_t timeout_ns) override {
    lock.unlock();
    time_.Yield(time_.SteadyNanos() + timeout_ns, &rank_.activity);
    lock.lock();
  }

  void Dial(const ServerAddress& address, int64_t timeout_ns, OnDialed done) override {
    const auto found = network_.ports().find(address.port);
    const std::string to = address.host;
    if (dead_ || !network_.Passes(host_, to)) {
      return After(timeout_ns, [done = std::move(done)] { done(Unavailable("cannot connect: timed out")); });
    }
    if (found == network_.ports().end()) {
      return After(network_.Latency(), [done = std::move(done)] { done(NotFound("cannot connect: refused")); });
    }
    const SimulatedNetwork::Listening& server = found->second;
    auto mine = std::make_shared<SimulatedChannel>(&network_, host_, to, token_, bytes_max_, &rank_);
    auto theirs =
        std::make_shared<SimulatedChannel>(&network_, to, host_, server.token, server.payload_bytes_max, server.rank);
    SimulatedChannel::Join(mine, theirs);
    channels_.push_back(mine);
    time_.At(time_.SteadyNanos() + network_.Latency(), [this, theirs, port = address.port] {
      const auto still = network_.ports().find(port);
      if (still == network_.ports().end()) return theirs->Close(Unavailable("nobody listens"));
      ++still->second.rank->activity;
      still->second.on_accepted(theirs);
    });
    // The client may be done before the server has accepted: what it sends first must not arrive before that.
    After(2 * network_.faults().latency_max_ns + 40'000,
          [done = std::move(done), mine] { done(std::shared_ptr<Channel>(mine)); });
  }

  Result<ServerAddress> Listen(const ListenOptions& options, OnAccepted on_accepted) override {
    port_ = options.port != 0 ? options.port : network_.next_port();
    auto keep = [this, on_accepted = std::move(on_accepted)](std::shared_ptr<Channel> channel) {
      channels_.push_back(std::static_pointer_cast<SimulatedChannel>(channel));
      on_accepted(std::move(channel));
    };
    network_.ports()[port_] = {host_, token_, options.payload_bytes_max, std::move(keep), &rank_};
    ServerAddress address;
    address.host = host_;
    address.port = port_;
    return address;
  }
  void StopListening() override { network_.ports().erase(port_); }
  void Stop() override {
    StopListening();
    rank_.stopped = true;
    ++rank_.activity;
    for (const auto& channel : channels_) channel->Close(Aborted("the transport was stopped"));
    channels_.clear();
  }
  // Its process dies: the system closes its connections, and it hears and says nothing more.
  void Die() {
    dead_ = true;
    for (const auto& channel : std::vector(channels_)) channel->CloseAfterWrites();
    StopListening();
    time_.At(time_.SteadyNanos() + 10 * network_.faults().latency_max_ns,
             [this, self = shared_from_this()] { network_.Isolate(host_); });
  }

 private:
  SimulatedNetwork& network_;
  SimulatedTime& time_;
  const std::string host_;
  const JobToken token_;
  const int64_t bytes_max_;
  int port_ = -1;
  SimulatedRank rank_;
  bool dead_ = false;
  std::vector<std::shared_ptr<SimulatedChannel>> channels_;
};

}  // namespace weir::testing
