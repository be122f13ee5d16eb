#include "trainer/mpi_world.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <mpi.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "trainer/mpi_collective.h"

namespace weir {
namespace {

constexpr int kWorldTag = 1;
constexpr int kWorkersTag = 2;
// MPI_Abort talks to the launcher; where that is gone too, the alarm ends the process.
constexpr unsigned kAbortSeconds = 10;

// Ranks must not outlive a launcher that was killed: nobody else would end them.
Status DieWithLauncher() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) return Status();
  return ErrnoStatus(errno, "prctl(PR_SET_PDEATHSIG)");
}

Status InitializeMpi() {
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) {
    return Unavailable("MPI_Init_thread failed");
  }
  if (provided >= MPI_THREAD_MULTIPLE) return Status();
  // Abort comes from whichever thread notices a dead peer.
  return FailedPrecondition(fmt::format("this MPI grants thread level {} only; MPI_THREAD_MULTIPLE ({}) is needed",
                                        provided, MPI_THREAD_MULTIPLE));
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace

bool MpiWorld::LaunchedByMpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

Result<std::unique_ptr<MpiWorld>> MpiWorld::Start(int64_t timeout_ns) {
  if (!LaunchedByMpi()) return FailedPrecondition("expected to be started by mpirun or srun");
  WEIR_RETURN_IF_ERROR(DieWithLauncher());
  WEIR_RETURN_IF_ERROR(InitializeMpi());
  std::unique_ptr<MpiWorld> world(new MpiWorld);
  WEIR_ASSIGN_OR_RETURN(world->all_, MakeMpiCollective(MPI_COMM_WORLD, {.timeout_ns = timeout_ns, .tag = kWorldTag}));
  world->rank_ = world->all_->rank();
  world->size_ = world->all_->size();
  Status hosts = world->LearnHosts();
  if (!hosts.ok())
    return hosts.Wrap(fmt::format("rank {}: learning the hosts of {} ranks", world->rank_, world->size_));
  return world;
}

MpiWorld::~MpiWorld() {
  if (!finished_) LOG(WARNING) << "rank " << rank_ << " leaves MPI without an end: the launcher will end the job";
}

Status MpiWorld::LearnHosts() {
  const std::string mine = HostName();
  WEIR_ASSIGN_OR_RETURN(auto names, AllGather({reinterpret_cast<const uint8_t*>(mine.data()), mine.size()}));
  hosts_.clear();
  local_size_ = 0;
  for (int rank = 0; rank < size_; ++rank) {
    hosts_.emplace_back(names[rank].begin(), names[rank].end());
    if (hosts_[rank] != mine) continue;
    if (rank < rank_) ++local_rank_;
    ++local_size_;
  }
  return Status();
}

Result<std::vector<std::vector<uint8_t>>> MpiWorld::AllGather(std::span<const uint8_t> mine) {
  return all_->AllGather(mine);
}

Status MpiWorld::Broadcast(std::vector<uint8_t>* bytes) { return all_->Broadcast(bytes); }

Status MpiWorld::Barrier() { return all_->Barrier(); }

Result<std::unique_ptr<Collective>> MpiWorld::MakeWorkerCollective(int workers, int64_t timeout_ns,
                                                                   SumOrder sum_order) {
  return MakeMpiCollective(MPI_COMM_WORLD,
                           {.timeout_ns = timeout_ns, .size = workers, .tag = kWorkersTag, .sum_order = sum_order});
}

Status MpiWorld::Finish() {
  WEIR_RETURN_IF_ERROR(all_->Barrier().Wrap("waiting for all ranks to end"));
  finished_ = true;
  // All ranks are past the barrier, so this waits for none that is dead.
  if (MPI_Finalize() != MPI_SUCCESS) return Unavailable("MPI_Finalize failed");
  return Status();
}

void MpiWorld::Abort(int exit_code) {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  google::FlushLogFiles(google::INFO);
  std::signal(SIGALRM, SIG_DFL);
  alarm(kAbortSeconds);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

}  // namespace weir
