// Servers: a worker's connections to all servers, and the calls in flight on them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "param_server/client/remote_store.h"
#include "param_server/client/server_link.h"
#include "param_server/local_server.h"
#include "param_server/transport.h"

namespace weir {

// One request to all servers, and their answers. Made by the store's thread, filled by the transport's thread (and the
// owner thread of a colocated server) under the mutex of Servers.
class Call {
 public:
  Call(MessageType type, int64_t step) : type(type), step(step) {}
  virtual ~Call() = default;

  // The payload of a server's Rows, on the transport's thread, without the mutex; several servers' one after the other.
  virtual Status OnRows(int server, std::span<const uint8_t> payload);
  // Of its EarlyRows, which come before; the same.
  virtual Status OnEarlyRows(int server, std::span<const uint8_t> payload);

  const MessageType type;
  const int64_t step;
  // By server, once the call is awaited.
  std::vector<OwnerReply> replies;

 private:
  friend class Servers;
  uint64_t id_ = 0;
  int missing_ = 0;             // answers still to come
  bool scattering_ = false;     // OnRows is running
  std::vector<bool> answered_;  // by server
  Status status_;               // the first error answered
};

// Held by shared_ptr, since a colocated server's owner thread may still hold replies when the store is gone.
class Servers : public std::enable_shared_from_this<Servers> {
 public:
  explicit Servers(RemoteStoreOptions options);

  // Connects to all and starts heartbeats.
  Status Connect();
  // Says Goodbye, or what failed; ends the transport.
  void Stop();

  int count() const { return static_cast<int>(peers_.size()); }
  bool is_local(int server) const { return peers_[server].local; }

  // Registers a call that every server is to answer; an error if the store has failed or a server has ended.
  Status Begin(const std::shared_ptr<Call>& call);
  // Sends a call's message to a server that is not local; a null call asks for no answer.
  void Send(const Call* call, MessageType type, int server, Buffer payload);
  // Hands a call to the colocated server; request.done is set here. `held` lives until it is done.
  void Submit(const std::shared_ptr<Call>& call, OwnerRequest request, std::shared_ptr<void> held);
  // Counts as the local server's answer.
  void AnswerLocally(const std::shared_ptr<Call>& call, int server);
  // Says Goodbye to all servers but the local one; no call may follow.
  void LeaveAll();
  // Waits for all answers; at most `progress` after a server last made any. An error other than InvalidArgument fails
  // the store.
  Status Await(Call* call);
  // Forgets a call that nobody will await: once it returns, nothing is written for it any more.
  void Forget(Call* call);

  // The first failure counts: calls return it, the servers are told, on_failure is called.
  void Fail(const Status& reason);
  Status status() const;
  void NoteStep(int64_t step);
  // For messages: "server 1 (127.0.0.1:5000)".
  std::string Name(int server) const;
  // The least step that all servers had applied at the handshake.
  int64_t applied_at_start() const { return applied_at_start_; }
  int64_t request_timeout_ns() const { return options_.progress_ns; }
  LocalServer* local_server() const { return options_.colocated; }

  int64_t bytes_sent() const { return bytes_sent_; }
  int64_t bytes_received() const { return bytes_received_; }
  int64_t messages_sent() const { return messages_sent_; }

 private:
  struct Peer {
    bool local = false;
    std::unique_ptr<ServerLink> link;  // null: local
    // Guarded by mutex_:
    bool welcomed = false;
    bool leaving = false;  // one side has said Goodbye
    bool closed = true;
    Status refused;  // why it could not be joined
    int64_t applied = 0;
    uint64_t progress = 0;
  };

  Status AttachLocally(int server);
  Hello MakeHello(int server, uint64_t session) const;
  Status OpenLinks();
  Status WaitUntilJoined();
  Status OnFrame(int server, const FrameHeader& header, Buffer payload);
  Status OnAnswer(int server, const FrameHeader& header, const Buffer& payload);
  Status OnRows(int server, const FrameHeader& header, const Buffer& payload);
  void OnWelcome(int server, const Welcome& welcome);
  void OnOver(int server, const Status& reason);
  void Finish(Call* call, int server, const Status& status, OwnerReply reply);
  void Leave(Peer* peer);
  bool Owes(int server) const;
  void ScheduleTick();
  void Tick();
  void TellFailure(const Status& reason);
  void WaitUntilClosed(int64_t timeout_ns);
  int64_t Now() const { return transport_->clock().SteadyNanos(); }

  const RemoteStoreOptions options_;
  const std::shared_ptr<Transport> transport_;
  std::vector<Peer> peers_;  // by server
  std::atomic<int64_t> step_seen_ = 0;
  std::atomic<int64_t> bytes_sent_ = 0;
  std::atomic<int64_t> bytes_received_ = 0;
  std::atomic<int64_t> messages_sent_ = 0;
  int64_t applied_at_start_ = 0;
  int64_t tick_ns_ = 0;       // transport's thread
  int64_t heartbeat_ns_ = 0;  // transport's thread

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;  // guarded by mutex_, as is what follows
  uint64_t next_id_ = 1;
  int64_t progress_ns_ = 0;  // when a server last made progress
  uint64_t local_progress_ = 0;
  bool attached_ = false;  // to the colocated server
  bool stopping_ = false;
  Status status_;
  bool started_ = false;
};

}  // namespace weir
