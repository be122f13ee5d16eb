// Owner: the thread that owns a server's rows. It alone reads and trains them, so the row path has no lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"
#include "embeddings/found_rows.h"
#include "embeddings/row_files.h"
#include "embeddings/table_set.h"
#include "param_server/local_server.h"
#include "param_server/server/look_ahead.h"
#include "param_server/server/step_merger.h"
#include "param_server/transport.h"

namespace weir {

struct OwnerOptions {
  int server = 0;
  int num_servers = 1;
  int num_workers = 1;
  int virtual_shards = 1024;
  std::vector<TableSpec> tables;
  RowFiles* row_files = nullptr;  // outlives the owner
  bool look_ahead = true;         // docs/consistency.md
  Trace* trace = nullptr;         // outlives the owner; null: none is kept
  // Whose thread owns the rows; outlives the owner. Null: a thread of the owner's.
  Transport* runs_on = nullptr;
};

// Thread-safe. Requests run in the order they were submitted, save those that wait for a step, which run as soon as it
// is applied. A request waits at most its timeout, counted from the last progress.
class Owner {
 public:
  explicit Owner(OwnerOptions options);
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Always leads to one call of request.done, at once (ResourceExhausted) if the queue is full.
  void Submit(OwnerRequest request);
  // Every request that waits or comes from now on is answered with `reason`. The first one counts.
  void Fail(const Status& reason);
  // Answers what is left with Aborted and joins the thread.
  void Stop();

  // Whether the folders of tables with a disk can be used.
  const Status& disk_status() const { return tables_.disk_status(); }
  int64_t applied() const { return applied_; }
  uint64_t progress() const { return progress_; }
  // Steady time of the last request or progress.
  int64_t active_ns() const { return active_ns_; }

 private:
  struct Waiting {
    OwnerRequest request;
    int64_t since_ns = 0;
    bool asked_ahead = false;  // whether rows could come early has been seen to
    // By pull, if some came early: the positions that are still to come.
    std::vector<std::vector<uint32_t>> late{};
    uint64_t pull = 0;               // of a training pull: its number
    std::vector<FoundRows> found{};  // and what it has found, by pull
  };

  // What the last training pull of a worker for a step found, until it is pushed. A step that is pulled twice, as after
  // a pull that was given up, is pushed with the keys of the later one.
  struct Found {
    uint64_t pull = 0;            // its number
    std::vector<FoundRows> rows;  // by table of the pull; empty until it is answered
  };

  void Run();
  // What Run does for one request, or when time has passed.
  void RunNext(OwnerRequest* request);
  void RunOnTransport();
  void ScheduleTick();
  int64_t Now() const { return clock_.SteadyNanos(); }
  int64_t WaitNanos() const;
  void Handle(OwnerRequest request);
  void HandlePush(OwnerRequest request);
  void Prefetch(const OwnerRequest& request);
  // The step that must be applied before the request can run.
  int64_t NeededStep(const OwnerRequest& request) const;
  Status CheckStep(const OwnerRequest& request) const;
  void ApplySteps();
  Status ApplyMerged(std::vector<OwnerRequest>* pushes);
  // The pushes of tables that are not synchronous, which are taken out.
  Status ApplyAlone(OwnerRequest* push);
  void RunWaiting();
  void RunRequest(Waiting* waiting);
  // Looks ahead for pulls that wait.
  void AnswerAhead();
  Status AnswerAhead(Waiting* waiting);
  // By pull: the positions of the rows that may be read now.
  std::vector<std::vector<uint32_t>> FindFree(const OwnerRequest& pull);
  void CountStaleness(const TablePull& pull, int64_t step, size_t rows);
  Status Pull(Waiting* waiting);
  Status PullSome(const OwnerRequest& request, const TablePull& pull, std::span<const uint32_t> positions,
                  FoundRows* found);
  // Begins a training pull: its number, for what it finds to be kept under for its push. 0 when nothing is to be kept:
  // the step is further ahead than may be pushed.
  uint64_t NumberPull(const OwnerRequest& pull);
  void KeepFound(Waiting* pull);
  // Hands what the pull of a push's step found to the push.
  void GiveFound(OwnerRequest* push);
  void CountPull(const OwnerRequest& request);
  void CountPush(const OwnerRequest& request);
  Status Save(const OwnerRequest& request, OwnerReply* reply);
  Status Load(const OwnerRequest& request);
  void NoteProgress();
  Status failure() const;

  const OwnerOptions options_;
  const Clock& clock_;
  const TraceTrack track_;
  const ShardRange shards_;
  TableSet tables_;  // owner thread, as is what follows up to the queue
  const Consistency strictest_;
  const bool merges_;  // whether there is a synchronous table
  StepMerger merger_;
  LookAhead look_ahead_;
  std::vector<Waiting> waiting_;
  std::map<std::pair<int64_t, int>, Found> found_;  // by (step, worker)
  uint64_t last_pull_ = 0;
  std::vector<uint64_t> some_keys_;  // scratch
  std::vector<float> some_rows_;     // scratch
  FoundRows some_found_;             // scratch
  std::vector<std::vector<TablePush>> step_pushes_;
  int64_t step_pushed_ = 0;                 // the greatest
  std::vector<int64_t> rows_by_staleness_;  // rows of training pulls, by the steps they did not see
  ServerLoad load_;                         // what is counted of it; owner thread, as the two before
  BoundedQueue<OwnerRequest> queue_;
  std::atomic<int64_t> applied_ = 0;
  std::atomic<uint64_t> progress_ = 0;
  std::atomic<int64_t> progress_ns_;
  std::atomic<int64_t> active_ns_;
  std::atomic<bool> failed_ = false;
  mutable std::mutex failure_mutex_;
  Status failure_;  // guarded by failure_mutex_
  std::thread thread_;
};

}  // namespace weir
