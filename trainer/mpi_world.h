// MpiWorld: the ranks that mpirun or srun started, from MPI_Init to MPI_Finalize.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "trainer/collective.h"

namespace weir {

// One per process (MPI allows no second). All methods on one thread at a time, Abort on any. Constant after Start.
class MpiWorld {
 public:
  // Whether mpirun, srun or another launcher of MPI started this process. MPI is not to be touched otherwise: MPI_Init
  // forks a daemon then.
  static bool LaunchedByMpi();

  // Starts MPI with MPI_THREAD_MULTIPLE, asks the kernel to kill this
  // process when its launcher dies, and learns the hosts of all ranks. timeout_ns bounds each later wait.
  // FailedPrecondition when not LaunchedByMpi.
  static Result<std::unique_ptr<MpiWorld>> Start(int64_t timeout_ns);

  // Says so when neither Finish nor Abort was called; the launcher will then end the job.
  ~MpiWorld();
  MpiWorld(const MpiWorld&) = delete;
  MpiWorld& operator=(const MpiWorld&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& host() const { return hosts_[rank_]; }
  // Host names by rank.
  const std::vector<std::string>& hosts() const { return hosts_; }
  // This rank among those of its host, and how many those are.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  bool one_host() const { return local_size_ == size_; }

  // Over all ranks: addresses and the job's token at the start, failures and figures at the end.
  Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine);
  Status Broadcast(std::vector<uint8_t>* bytes);
  Status Barrier();

  // The collective of the workers, ranks [0, workers), on a worker. In rank order no message is sent; else all workers
  // call. It must not outlive this.
  Result<std::unique_ptr<Collective>> MakeWorkerCollective(int workers, int64_t timeout_ns,
                                                           SumOrder sum_order = SumOrder::kRank);

  // The end of a run that went well, on all ranks: waits for all of them, up to the timeout, then MPI_Finalize. On an
  // error the caller aborts.
  Status Finish();

  // The end of a run that failed: flushes logs and streams, then ends all ranks of the job with this exit code.
  [[noreturn]] static void Abort(int exit_code);

 private:
  MpiWorld() = default;
  Status LearnHosts();

  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  std::vector<std::string> hosts_;
  std::unique_ptr<Collective> all_;
  bool finished_ = false;
};

}  // namespace weir
