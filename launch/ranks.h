// Ranks: sets a job up over the ranks that mpirun started, or in this process alone, and takes it down again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "embeddings/row_files.h"
#include "launch/rank_trace.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"
#include "trainer/mpi_world.h"
#include "trainer/watchdog.h"
#include "trainer/worker.h"

namespace weir {

// What ranks have in common: the world they live in, the job that rank 0 read.
class Ranks {
 public:
  // Starts MPI if this process was launched by it. `command` ("train") stands in messages.
  static Result<std::unique_ptr<Ranks>> Start(const std::string& command);

  int rank() const { return world_ ? world_->rank() : 0; }
  int size() const { return world_ ? world_->size() : 1; }
  // "rank 2 (server 0) on host-a", for messages.
  std::string who() const;

  // Rank 0's text on every rank, or its error.
  Result<std::string> ShareText(const std::function<Result<std::string>()>& read);
  // Rank 0 reads the job, the others take its result: the same Job, or the same error, on every rank.
  Result<Job> ShareJob(const std::function<Result<Job>()>& read);

  // What a worker does once all stand: train, evaluate. `mark` tells the watchdog what was finished.
  using WorkerMain = std::function<Status(const Worker&, const std::function<void(const char*, int64_t)>& mark)>;

  // Runs the job: the last cluster.servers ranks serve; with 0, each worker also holds shards; without MPI, one worker
  // with a local store. Returns when all ranks are done, with the first error this rank met.
  Status Run(const Job& job, const WorkerMain& worker_main);

  // With train.trace: writes the traces of all ranks to a file, on rank 0. After Run, on all ranks.
  Status WriteTrace(const std::string& path);

  // Peak resident memory, summed over all ranks. After Run, on all ranks.
  Result<int64_t> TotalPeakRssBytes();

  // Ends the process's part in the job and returns its exit code: 0 if `status` is OK. On an error it is printed at
  // once, with the rank's name, and all ranks of the job are ended.
  int Finish(const Status& status);

 private:
  explicit Ranks(std::string command) : command_(std::move(command)) {}
  Status RunAlone(const Job& job, const WorkerMain& worker_main);
  Status RunInWorld(const Job& job, const WorkerMain& worker_main);
  // options: what differs from job to job and rank to rank; the rest is set from the job.
  Status RunWorker(const Job& job, int workers, RemoteStoreOptions options, Server* colocated,
                   const WorkerMain& worker_main);
  Result<JobToken> ShareToken();
  // The addresses of all servers, in order; or the error of the first rank whose server did not start, on all ranks.
  Result<std::vector<ServerAddress>> ShareAddresses(const Status& started, const std::string& mine);
  ServerOptions MakeServerOptions(const Job& job, int server, int workers, const JobToken& token) const;
  Trace* trace() const { return trace_ ? trace_->trace() : nullptr; }
  bool BindsEverywhere(const Job& job) const;
  int WorkersOnThisHost(int workers) const;
  // An error that all ranks know and `origin` will report.
  Status Shared(const Status& status, int origin);

  void Print(const Status& status) const;
  // Prints this rank's error, once, unless another rank will.
  void Say(const Status& status);
  // Any thread: ends all ranks of the job, saying why.
  [[noreturn]] void Fail(const Status& status) const;

  const std::string command_;
  std::unique_ptr<MpiWorld> world_;   // null without MPI
  std::unique_ptr<RankTrace> trace_;  // null without train.trace
  std::string role_ = "the only process";
  int reported_by_ = -1;  // the rank that reports an error which all know
  bool said_ = false;     // this rank's error
};

}  // namespace weir
