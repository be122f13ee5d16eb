// Sessions: the front of a server. Accepts connections, shakes hands, takes a worker's session over to a new connection
// when the old one broke, turns frames into requests for the owner thread and its answers into frames, and watches that
// no worker dies, falls silent or stops asking.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "param_server/link.h"
#include "param_server/local_server.h"
#include "param_server/protocol.h"
#include "param_server/row_messages.h"
#include "param_server/server/owner.h"
#include "param_server/server_address.h"
#include "param_server/transport.h"

namespace weir {

struct SessionsOptions {
  Hello expected;  // what every worker must say of the job; `worker` and `host` are not compared
  std::vector<TableFormat> formats;
  std::string bind_address;
  int port = 0;
  int64_t max_frame_bytes = 0;
  int64_t silence_ns = 0;
  int64_t progress_ns = 0;
};

// Everything that is not said to be thread-safe runs on the transport's thread. Memory: at most 64 strangers of 4 KiB
// each, and per worker one frame being read, kRequestsMax requests (a frame each, and twice that where values travel in
// 16 bits, for their float32), the keys of kStepsAheadMax + 1 pulls and the answers that it has not acknowledged.
class Sessions {
 public:
  // owner must outlive the sessions and be stopped before they are destroyed.
  Sessions(SessionsOptions options, std::shared_ptr<Transport> transport, Owner* owner);
  ~Sessions();

  // Binds and listens. AlreadyExists if the port is taken.
  Status Start();
  const ServerAddress& address() const { return address_; }

  // All of these are thread-safe.
  Result<int64_t> Attach(const Hello& hello, std::function<void(const Status&)> on_failure);
  void Detach(int worker, const Status& reason);
  void RequestShutdown();
  // Blocks until the job has ended: OK after Shutdown, else why. Bounded by the deadlines that the sessions watch.
  Status Wait();
  // Ends the transport; last errors are given a second to reach the workers. Wait returns Aborted if nothing ended
  // before.
  void Stop();

 private:
  // A connection.
  struct Session {
    std::shared_ptr<Channel> channel;
    int worker = -1;    // -1: a stranger
    bool over = false;  // said Goodbye, was refused or replaced, or the job ended: its close is no failure
    int64_t accepted_ns = 0;
  };
  // What outlives a worker's connections, and the worker where answers to it are under way.
  struct WorkerLink {
    Link link;
    std::atomic<int> unanswered = 0;
  };
  struct PulledKeys {
    Buffer payload;
    PullMessage pull;  // its keys lie in the payload
  };
  struct Worker {
    bool attached = false;
    bool left = false;
    std::shared_ptr<WorkerLink> link;  // null: in this process
    std::shared_ptr<Session> session;  // null: its connection broke
    Status broken;                     // why
    uint64_t session_id = 0;
    uint32_t epoch = 0;  // of its connection
    int64_t heard_ns = 0;
    std::function<void(const Status&)> on_failure;
    std::string peer;  // where its connection comes from
    std::string host;
    int64_t step_seen = 0;
    uint64_t pushes_seen = 0;  // sequence number of the last one of this session
    // By step: training pulls whose push has not come, which may come without keys. At most kStepsAheadMax + 1.
    std::map<int64_t, std::shared_ptr<PulledKeys>> pulled;
  };
  using SessionPtr = std::shared_ptr<Session>;

  void AddStranger(std::shared_ptr<Channel> channel);
  Status OnFrame(const SessionPtr& session, const FrameHeader& header, Buffer payload);
  Status OnHeartbeat(Worker* worker, const Buffer& payload);
  Status OnWorkerFrame(const SessionPtr& session, const FrameHeader& header, Buffer payload);
  void OnClose(const SessionPtr& session, const Status& reason);
  void LogDrop(const Session& session, const Status& reason);

  Status OnHello(const SessionPtr& session, const FrameHeader& header, const Buffer& payload);
  Status CheckHello(const Hello& hello) const;
  // Whether it is of a session that is served, on a newer connection.
  bool Resumes(const Hello& hello) const;
  Status Welcome(const SessionPtr& session, const Hello& hello);
  void Join(const Hello& hello, std::shared_ptr<WorkerLink> link, std::function<void(const Status&)> on_failure);
  void Leave(int worker);
  Status OnPull(const SessionPtr& session, const FrameHeader& header, Buffer payload);
  Status OnPush(const SessionPtr& session, Buffer payload);
  Status KeepPulled(Worker* worker, std::shared_ptr<PulledKeys> pulled) const;
  Status OnSimpleRequest(const SessionPtr& session, const FrameHeader& header, const Buffer& payload);
  Status OnPeerEnd(const SessionPtr& session, const FrameHeader& header, const Buffer& payload);
  Status CheckShards(int table, std::span<const uint64_t> keys) const;
  Status Admit(WorkerLink* link) const;

  void ScheduleTick();
  void Tick();
  void WatchShutdown(int64_t now_ns);
  void WatchStrangers(int64_t now_ns);
  void WatchWorkers(int64_t now_ns);
  void WatchWorker(int index, int64_t now_ns);
  void WatchActivity(int64_t now_ns);
  void SendHeartbeats();
  void BeginShutdown(int by_worker);
  void EndIfAllLeft();
  void Fail(const Status& reason);
  void End(const Status& status);
  void CloseAll();
  std::string WorkerName(int worker) const;

  int64_t Now() const { return transport_->clock().SteadyNanos(); }

  const SessionsOptions options_;
  const std::shared_ptr<Transport> transport_;
  Owner* const owner_;
  const ShardRange shards_;
  ServerAddress address_;
  std::vector<Worker> workers_;
  std::list<SessionPtr> open_;  // all whose channel is not closed
  int64_t tick_ns_ = 0;         // steady time of the last tick
  int64_t heartbeat_ns_ = 0;
  int64_t shutdown_ns_ = 0;  // when Shutdown came; 0: not yet
  int64_t all_left_ns_ = 0;
  int64_t drop_logged_ns_ = 0;
  int64_t drops_unlogged_ = 0;
  bool failed_ = false;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;  // guarded by mutex_
  Status end_status_;       // guarded by mutex_
  bool started_ = false;
};

}  // namespace weir
