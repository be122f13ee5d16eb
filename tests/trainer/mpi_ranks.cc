// One rank of mpi_collective_test.py: does what its argument says, and exits as a rank of Weir would.
#include <chrono>
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
