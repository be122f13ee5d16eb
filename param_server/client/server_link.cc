#include "param_server/client/server_link.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

namespace weir {
namespace {

constexpr int64_t kBackoffMinNanos = 50 * kNanosPerMilli;
constexpr int64_t kBackoffMaxNanos = kNanosPerSecond;
constexpr int64_t kBackoffsPerSilence = 32;
// A server listens as long as it lives, so where nobody does it is dead, unless something on the way refuses in its
// place for a while.
constexpr int64_t kRefusedJoiningNanos = kNanosPerSecond;
constexpr int64_t kRefusedMendingNanos = 5 * kNanosPerSecond;
// For the dial, and then until the Welcome; less where `silence` is short, so that several tries fit into it.
constexpr int64_t kGreetingMaxNanos = 2 * kNanosPerSecond;
constexpr int64_t kGreetingsPerSilence = 8;
// A full house of strangers may push a worker out of the server's waiting room; one with a wrong token is always.
constexpr int kGreetingsMax = 5;
// A frame that damages every connection would be sent for ever.
constexpr int kBreaksMax = 20;

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

}  // namespace

ServerLink::ServerLink(Transport* transport, ServerLinkOptions options, ServerLinkEvents events)
    : transport_(transport),
      options_(std::move(options)),
      events_(std::move(events)),
      greeting_ns_(std::min(options_.silence_ns / kGreetingsPerSilence, kGreetingMaxNanos)),
      heard_ns_(Now()) {}

void ServerLink::Open() {
  state_ = State::kDialing;
  state_ns_ = Now();
  transport_->Dial(options_.address, greeting_ns_, [this, epoch = ++epoch_](Result<std::shared_ptr<Channel>> dialed) {
    if (epoch == epoch_ && state_ == State::kDialing) return OnDialed(std::move(dialed));
    if (dialed.ok()) (*dialed)->Close(Aborted("dialed too late"));
  });
}

void ServerLink::OnDialed(Result<std::shared_ptr<Channel>> dialed) {
  if (dialed.ok()) {
    refused_ns_ = 0;
    return Greet(std::move(*dialed));
  }
  if (dialed.status().code() != StatusCode::kNotFound) {
    refused_ns_ = 0;
    return Retry(dialed.status());
  }
  const Status refused = Unavailable(dialed.status().message());
  if (refused_ns_ == 0) refused_ns_ = Now();
  const int64_t limit_ns = welcomed_ ? kRefusedMendingNanos : kRefusedJoiningNanos;
  if (Now() - refused_ns_ >= limit_ns) return Close(refused);
  Retry(refused);
}

void ServerLink::Greet(std::shared_ptr<Channel> channel) {
  state_ = State::kGreeting;
  state_ns_ = Now();
  channel_ = std::move(channel);
  channel_->Start(
      [this, epoch = epoch_](const FrameHeader& header, Buffer payload) {
        return epoch == epoch_ ? OnFrame(header, std::move(payload)) : Status();
      },
      [this, epoch = epoch_](const Status& reason) {
        if (epoch == epoch_) OnChannelClosed(reason);
      });
  Hello hello = options_.hello;
  hello.epoch = epoch_;
  hello.received = link_.received();
  channel_->Send(std::make_shared<Frame>(MessageType::kHello, 0, 0, EncodeHello(hello)), 0);
}

Status ServerLink::OnFrame(const FrameHeader& header, Buffer payload) {
  if (state_ == State::kGreeting) return OnHandshakeFrame(header, payload);
  // A damaged stream is the connection's fault, and another one mends it.
  WEIR_ASSIGN_OR_RETURN(const bool fresh, link_.Receive(header));
  if (!fresh || header.type == MessageType::kWelcome) return Status();
  if (header.type == MessageType::kHeartbeat) {
    const Result<HeartbeatMessage> heartbeat = DecodeHeartbeat(payload.span());
    if (heartbeat.ok()) WEIR_RETURN_IF_ERROR(link_.CheckSent(heartbeat->sent));
  }
  const Status status = events_.on_frame(header, std::move(payload));
  if (!status.ok()) Close(status);
  return Status();
}

Status ServerLink::OnHandshakeFrame(const FrameHeader& header, const Buffer& payload) {
  Status error;
  if (header.type == MessageType::kWelcome) {
    const Result<Welcome> welcome = DecodeWelcome(payload.span());
    if (welcome.ok()) return OnWelcome(*welcome);
    error = welcome.status();
  } else if (header.type != MessageType::kError) {
    return DataLoss("the server answered before its Welcome");
  } else if (const Status decoded = DecodeError(payload.span(), &error); !decoded.ok()) {
    error = decoded;
  }
  Close(error);
  return Status();
}

Status ServerLink::OnWelcome(const Welcome& welcome) {
  const Status status = link_.Attach(channel_, welcome.received);
  if (!status.ok()) {
    Close(status);
    return Status();
  }
  state_ = State::kUp;
  heard_ns_ = Now();
  backoff_ns_ = closed_greetings_ = 0;
  if (std::exchange(welcomed_, true)) {
    LOG(WARNING) << fmt::format("{}: connected again after {:.1f} s, {} frames sent again", options_.name,
                                Seconds(heard_ns_ - broken_ns_), link_.frames_kept());
  } else {
    events_.on_welcome(welcome);
  }
  return Status();
}

void ServerLink::OnChannelClosed(const Status& reason) {
  if (state_ == State::kOver) return;
  const bool may_break = channel_->may_break();
  channel_ = nullptr;
  link_.Detach();
  switch (state_) {
    case State::kGreeting:
      // A certificate that one end does not accept, or another job's token: the next try would meet the same.
      if (reason.code() == StatusCode::kUnauthenticated) return Close(reason);
      if (!welcomed_ && ++closed_greetings_ >= kGreetingsMax) return Close(reason);
      return Retry(reason);
    case State::kUp:
      if (!may_break) return Close(reason);
      return OnBreak(reason);
    case State::kLeaving:
      return Close(reason);
    default:
      return;
  }
}

void ServerLink::OnBreak(const Status& reason) {
  const int64_t since_ns = Now() - std::exchange(broken_ns_, Now());
  const bool heard = std::exchange(received_at_break_, link_.received()) != link_.received();
  if (heard || since_ns > options_.silence_ns) breaks_ = 0;
  if (++breaks_ > kBreaksMax) return Close(reason.Wrap(fmt::format("{} connections in a row broke", breaks_)));
  LOG(WARNING) << fmt::format("{}: {}; connecting again (cluster.silence_s is {:g})", options_.name, reason.ToString(),
                              Seconds(options_.silence_ns));
  last_trouble_ = reason;
  Open();
}

void ServerLink::Retry(const Status& reason) {
  last_trouble_ = reason;
  state_ = State::kWaiting;
  const int64_t max_ns = std::min(options_.silence_ns / kBackoffsPerSilence, kBackoffMaxNanos);
  backoff_ns_ = std::min(std::max(2 * backoff_ns_, kBackoffMinNanos), max_ns);
  retry_ns_ = Now() + backoff_ns_;
}

void ServerLink::Tick(bool stalled) {
  if (state_ == State::kIdle || state_ == State::kOver) return;
  const int64_t now_ns = Now();
  if (stalled) heard_ns_ = now_ns;
  if (link_.overflowed()) {
    return Close(
        ResourceExhausted(fmt::format("{} frames were sent without an acknowledgement", Link::kFramesKeptMax)));
  }
  WatchSilence(now_ns);
  if (state_ == State::kGreeting && now_ns - state_ns_ > greeting_ns_) {
    channel_->Close(Unavailable(fmt::format("no answer to the handshake within {:g} s", Seconds(greeting_ns_))));
  }
  if (state_ == State::kWaiting && now_ns >= retry_ns_) Open();
}

void ServerLink::WatchSilence(int64_t now_ns) {
  const bool up = state_ == State::kUp || state_ == State::kLeaving;
  if (up && channel_) heard_ns_ = std::max(heard_ns_, channel_->last_heard_ns());
  const int64_t silent_ns = now_ns - heard_ns_;
  const std::string nothing = fmt::format("nothing heard for {:.1f} s (cluster.silence_s is {:g})", Seconds(silent_ns),
                                          Seconds(options_.silence_ns));
  if (silent_ns > options_.silence_ns) {
    const bool why = !up && !last_trouble_.ok();
    return Close(Unavailable(why ? fmt::format("{}; {}", nothing, last_trouble_.message()) : nothing));
  }
  if (state_ == State::kUp && channel_->may_break() && silent_ns > options_.silence_ns / 2) {
    channel_->Close(Unavailable(nothing));
  }
}

void ServerLink::SendHeartbeat(int64_t step) {
  if (state_ != State::kUp) return;
  link_.SendOnce(MessageType::kHeartbeat, EncodeHeartbeat({.step = step, .progress = 0, .sent = link_.sent()}));
}

void ServerLink::Leave(MessageType last, Buffer payload) {
  if (state_ == State::kOver || state_ == State::kLeaving) return;
  if (state_ != State::kUp) return Close(Aborted("left without a connection"));
  state_ = State::kLeaving;
  link_.Send(last, 0, 0, std::move(payload));
  channel_->CloseAfterWrites();
}

void ServerLink::Close(const Status& reason) {
  if (std::exchange(state_, State::kOver) == State::kOver) return;
  link_.End();
  if (channel_) std::exchange(channel_, nullptr)->Close(reason);
  events_.on_over(reason);
}

}  // namespace weir
