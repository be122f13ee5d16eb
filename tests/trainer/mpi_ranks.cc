// One rank of mpi_collective_test.py: does what its argument says, and exits as a rank of Weir would.
#include <chrono>
#include <cmath>
#include <csignal>
#include <iostream>
#include <string>
#include <thread>

#include <mpi.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "tests/trainer/collective_cases.h"
#include "trainer/mpi_collective.h"
#include "trainer/mpi_world.h"

namespace weir {
namespace {

constexpr int64_t kPatience = 60 * kNanosPerSecond;
constexpr int64_t kShort = 2 * kNanosPerSecond;

Status Check(MpiWorld& world) {
  if (world.local_size() != world.size() || world.local_rank() != world.rank() || !world.one_host()) {
    return Internal("expected all ranks on one host, in order");
  }
  WEIR_RETURN_IF_ERROR(world.Barrier());
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kPatience));
  return CheckCollective(*workers);
}

// Small blocks and messages show that cutting changes no bit.
Status CheckCut(MpiWorld&) {
  MpiCollectiveOptions options = {.timeout_ns = kPatience, .tag = 9, .message_bytes_max = 1021, .block_values = 5003};
  WEIR_ASSIGN_OR_RETURN(auto workers, MakeMpiCollective(MPI_COMM_WORLD, options));
  return CheckCollective(*workers);
}

// The last rank is no worker; the others work without it.
Status CheckSplit(MpiWorld& world) {
  const int workers_count = world.size() - 1;
  auto workers = world.MakeWorkerCollective(workers_count, kPatience);
  if (world.rank() == workers_count) {
    return workers.status().code() == StatusCode::kInvalidArgument ? Status() : Internal("expected no collective");
  }
  WEIR_RETURN_IF_ERROR(workers.status());
  if ((*workers)->size() != workers_count) return Internal("wrong size");
  return CheckCollective(**workers);
}

Status CheckBig(MpiWorld& world) {
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kPatience));
  const int64_t start_ns = SystemClock().SteadyNanos();
  std::vector<float> values(10'000'000, static_cast<float>(world.rank()));
  WEIR_RETURN_IF_ERROR(workers->AllReduceSum(std::span<float>(values)));
  const double seconds = static_cast<double>(SystemClock().SteadyNanos() - start_ns) / kNanosPerSecond;
  if (world.rank() == 0) std::cerr << fmt::format("10 M floats in {:.3f} s\n", seconds);
  return CheckAllReduce<float>(*workers, 10'000'000);
}

// How long a small and a middling all-reduce take, in the long run.
Status TimeSmall(MpiWorld& world) {
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kPatience));
  for (size_t count : {100, 500'000}) {
    std::vector<float> values(count);
    const int64_t start_ns = SystemClock().SteadyNanos();
    for (int i = 0; i < 100; ++i) WEIR_RETURN_IF_ERROR(workers->AllReduceSum(std::span<float>(values)));
    const double us = static_cast<double>(SystemClock().SteadyNanos() - start_ns) / 1000 / 100;
    if (world.rank() == 0) std::cerr << fmt::format("{} floats in {:.0f} us\n", count, us);
  }
  return Status();
}

// Rank 1 goes away after a first sum: it stops calling, or dies.
Status Desert(MpiWorld& world, bool die) {
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kShort));
  WEIR_RETURN_IF_ERROR(CheckAllReduce<float>(*workers, 100'000));
  if (world.rank() == 1) {
    if (die) raise(SIGKILL);
    std::this_thread::sleep_for(std::chrono::minutes(10));
  }
  Status status = CheckAllReduce<float>(*workers, 100'000);
  std::cerr << fmt::format("rank {} saw {}\n", world.rank(), status.ToString());
  if (CheckAllReduce<float>(*workers, 10).ok()) return Internal("a broken collective went on");
  return status;
}

// Rank 1 goes away after it has started a sum, or instead of starting it.
Status DesertStarted(MpiWorld& world, SumOrder order, bool start) {
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kShort, order));
  WEIR_RETURN_IF_ERROR(workers->Barrier());
  std::vector<float> small(100), large(200'000);
  if (world.rank() != 1 || start) {
    WEIR_RETURN_IF_ERROR(workers->StartAllReduceSum(small).status());
  }
  if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::minutes(10));
  WEIR_ASSIGN_OR_RETURN(const SumTicket sum, workers->StartAllReduceSum(large));
  const int64_t begin_ns = SystemClock().SteadyNanos();
  WEIR_RETURN_IF_ERROR(workers->PollSums());
  if (SystemClock().SteadyNanos() - begin_ns > kShort / 2) return Internal("a poll waited");
  Status status = workers->FinishSum(sum);
  std::cerr << fmt::format("rank {} saw {}\n", world.rank(), status.ToString());
  if (workers->PollSums().ok()) return Internal("a broken collective went on");
  return status;
}

// The library's sums: as those in rank order up to rounding, the same bits on all ranks, and together under way with
// other calls; doubles stay in rank order.
Status CheckLibrarySum(Collective& workers, size_t count) {
  std::vector<float> values = CaseValues<float>(workers.rank(), count);
  WEIR_ASSIGN_OR_RETURN(const SumTicket sum, workers.StartAllReduceSum(values));
  WEIR_RETURN_IF_ERROR(CheckAllReduce<double>(workers, count));
  WEIR_RETURN_IF_ERROR(workers.FinishSum(sum));
  std::vector<float> again = CaseValues<float>(workers.rank(), count);
  WEIR_RETURN_IF_ERROR(workers.AllReduceSum(std::span<float>(again)));
  if (again != values) return Internal(fmt::format("{} values: a second sum has other bits", count));
  const std::vector<float> expected = CaseSum<float>(workers.size(), count);
  std::vector<float> sizes(count);
  for (int rank = 0; rank < workers.size(); ++rank) {
    const std::vector<float> theirs = CaseValues<float>(rank, count);
    for (size_t i = 0; i < count; ++i) sizes[i] += std::abs(theirs[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    if (std::abs(values[i] - expected[i]) <= 1e-6f * sizes[i]) continue;
    return Internal(fmt::format("value {} of {}: expected {}, found {}", i, count, expected[i], values[i]));
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  WEIR_ASSIGN_OR_RETURN(auto all, workers.AllGather({bytes, values.size() * sizeof(float)}));
  for (const auto& theirs : all) {
    if (theirs != all[0]) return Internal(fmt::format("{} values: ranks have different bits", count));
  }
  return Status();
}

Status CheckLibrary(Collective& workers) {
  for (size_t count : {0, 1, 3, 1000, 5003, 12'345, 300'000}) {
    WEIR_RETURN_IF_ERROR(CheckLibrarySum(workers, count));
  }
  return Status();
}

// With and without a rank that is no worker, whole and cut.
Status CheckLibraries(MpiWorld& world) {
  const int workers_count = world.size() - 1;
  if (world.rank() < workers_count) {
    WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(workers_count, kPatience, SumOrder::kLibrary));
    WEIR_RETURN_IF_ERROR(CheckLibrary(*workers));
  }
  MpiCollectiveOptions options = {
      .timeout_ns = kPatience, .tag = 9, .block_values = 5003, .sum_order = SumOrder::kLibrary};
  WEIR_ASSIGN_OR_RETURN(auto all, MakeMpiCollective(MPI_COMM_WORLD, options));
  return CheckLibrary(*all);
}

// Rank 1 does not come to the making of the library's communicator.
Status DesertMaking(MpiWorld& world) {
  WEIR_RETURN_IF_ERROR(world.Barrier());
  if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::minutes(10));
  Status status = world.MakeWorkerCollective(world.size(), kShort, SumOrder::kLibrary).status();
  std::cerr << fmt::format("rank {} saw {}\n", world.rank(), status.ToString());
  return status;
}

Status Mismatch(MpiWorld& world) {
  WEIR_ASSIGN_OR_RETURN(auto workers, world.MakeWorkerCollective(world.size(), kShort));
  std::vector<float> values(world.rank() == 1 ? 10 : 20);
  return workers->AllReduceSum(std::span<float>(values));
}

Status Run(MpiWorld& world, const std::string& what) {
  if (what == "check") return Check(world);
  if (what == "cut") return CheckCut(world);
  if (what == "split") return CheckSplit(world);
  if (what == "big") return CheckBig(world);
  if (what == "time") return TimeSmall(world);
  if (what == "stop") return Desert(world, false);
  if (what == "die") return Desert(world, true);
  if (what == "stop-started") return DesertStarted(world, SumOrder::kRank, true);
  if (what == "stop-unstarted") return DesertStarted(world, SumOrder::kRank, false);
  if (what == "library") return CheckLibraries(world);
  if (what == "library-stop") return DesertStarted(world, SumOrder::kLibrary, true);
  if (what == "library-making") return DesertMaking(world);
  if (what == "mismatch") return Mismatch(world);
  return InvalidArgument("unknown argument " + what);
}

int Main(const std::string& what) {
  if (!MpiWorld::LaunchedByMpi()) {
    std::cerr << "not launched: " << MpiWorld::Start(kPatience).status().ToString() << "\n";
    return 3;
  }
  auto world = MpiWorld::Start(kPatience);
  if (!world.ok()) {
    std::cerr << world.status().ToString() << "\n";
    return 4;
  }
  Status status = Run(**world, what);
  if (status.ok()) status = (*world)->Finish();
  if (status.ok()) {
    std::cout << fmt::format("rank {} of {} ok\n", (*world)->rank(), (*world)->size()) << std::flush;
    return 0;
  }
  std::cerr << fmt::format("rank {} failed: {}\n", (*world)->rank(), status.ToString());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the others see it by themselves
  MpiWorld::Abort(17);
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) { return weir::Main(argc > 1 ? argv[1] : "check"); }
