#include "launch/host_checks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

// Runs a command of ours for at most 20 s. Returns its exit status; `output` gets what it printed, up to 64 KiB.
int RunShell(const std::string& command, std::string* output) {
  std::FILE* pipe = popen(("timeout -k 1 20 " + command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return -1;
  char block[4096];
  for (size_t n = 0; (n = std::fread(block, 1, sizeof(block), pipe)) > 0;) {
    if (output->size() < 64 << 10) output->append(block, n);
  }
  return pclose(pipe);
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

void GatherMpi(HostFacts* facts) {
  std::string version;
  if (RunShell("mpirun --version", &version) != 0) return;
  facts->mpirun_version = FirstLine(version);
  const std::string root = geteuid() == 0 ? "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 " : "";
  std::string said;
  facts->mpirun_starts = RunShell(root + "mpirun --bind-to none --oversubscribe -n 2 true", &said) == 0;
  facts->mpirun_said = said.substr(0, 500);
}

int CoresAllowed() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  int cores = CPU_COUNT(&set);
  // A container's share: "max 100000" or "200000 100000".
  std::ifstream quota("/sys/fs/cgroup/cpu.max");
  double share = 0, period = 0;
  if (quota >> share >> period && period > 0) cores = std::min(cores, std::max(1, static_cast<int>(share / period)));
  return cores;
}

int64_t MemoryAvailable() {
  int64_t bytes = 0;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kib) == 1) bytes = kib * 1024;
  }
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  int64_t limit = 0, used = 0;
  if (limit_file >> limit && used_file >> used) bytes = std::min(bytes, std::max<int64_t>(0, limit - used));
  return bytes;
}

int64_t FreeBytes(const char* path) {
  struct statvfs stats = {};
  if (statvfs(path, &stats) != 0) return -1;
  return static_cast<int64_t>(stats.f_bavail) * static_cast<int64_t>(stats.f_frsize);
}

bool LoopbackListens() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return false;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool listens =
      bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(listener, 1) == 0;
  close(listener);
  return listens;
}

// The file that this process has mapped under a name that begins with `library`.
std::string LoadedFrom(const std::string& library) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t slash = line.find('/');
    if (slash != std::string::npos && line.find("/" + library, slash) != std::string::npos) return line.substr(slash);
  }
  return "";
}

std::string VectorInstructions() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return "AVX-512";
  return __builtin_cpu_supports("avx2") ? "AVX2" : "scalar";
}

std::string Amount(int64_t bytes) {
  return bytes < kGiB ? fmt::format("{} MiB", bytes / kMiB) : fmt::format("{:.1f} GiB", double(bytes) / kGiB);
}

Finding JudgeMpi(const HostFacts& facts) {
  if (facts.mpirun_version.empty()) {
    return {FindingLevel::kBad, "MPI", "mpirun cannot be run", "apt-get install openmpi-bin libopenmpi-dev"};
  }
  if (!facts.mpirun_starts) {
    return {
        FindingLevel::kBad, "MPI",
        fmt::format("{} does not start two ranks: {}", facts.mpirun_version, facts.mpirun_said),
        "mpirun --bind-to none --oversubscribe -n 2 true  # must succeed; a firewall or a full /tmp are common causes"};
  }
  return {FindingLevel::kGood, "MPI", facts.mpirun_version + ", starts ranks", ""};
}

Finding JudgeLibraries(const HostFacts& facts) {
  if (facts.torch.empty() || facts.arrow.empty()) {
    return {FindingLevel::kBad, "libraries", "LibTorch or Arrow is not loaded",
            "bash launch/setup.sh && bash launch/build.sh"};
  }
  return {FindingLevel::kGood, "libraries", fmt::format("{}, {}", facts.torch, facts.arrow), ""};
}

// Judges an amount against what training needs at least and what it runs well with.
Finding JudgeAmount(const std::string& subject, int64_t bytes, int64_t needed, int64_t wanted, const std::string& fix) {
  const std::string found = bytes < 0 ? "not there" : Amount(bytes) + " free";
  if (bytes < needed) return {FindingLevel::kBad, subject, found, fix};
  if (bytes < wanted) return {FindingLevel::kNote, subject, found, fix};
  return {FindingLevel::kGood, subject, found, ""};
}

}  // namespace

HostFacts GatherHostFacts() {
  HostFacts facts;
  GatherMpi(&facts);
  facts.cores = CoresAllowed();
  facts.memory_bytes = MemoryAvailable();
  std::string gpus;
  if (RunShell("nvidia-smi -L", &gpus) == 0) {
    std::istringstream lines(gpus);
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("GPU ", 0) == 0) facts.gpus.push_back(line.substr(0, line.find(" (UUID")));
    }
  }
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) facts.open_files = files.rlim_cur;
  facts.shared_memory_bytes = FreeBytes("/dev/shm");
  facts.disk_bytes = FreeBytes(".");
  facts.loopback = LoopbackListens();
  facts.torch = LoadedFrom("libtorch_cpu.so");
  facts.arrow = LoadedFrom("libarrow.so");
  facts.vectors = VectorInstructions();
  return facts;
}

std::vector<Finding> JudgeHost(const HostFacts& facts) {
  std::vector<Finding> findings;
  findings.push_back(JudgeMpi(facts));
  findings.push_back(
      {facts.cores >= 2 ? FindingLevel::kGood : FindingLevel::kNote, "cores",
       fmt::format("{}, {}", facts.cores, facts.vectors),
       facts.cores >= 2 ? "" : "workers and servers share one core: allow the process more (taskset, --cpus)"});
  findings.push_back(
      JudgeAmount("memory", facts.memory_bytes, 512 * kMiB, 4 * kGiB,
                  "each rank needs 300 MiB besides its rows: free some, or raise the container's limit"));
  if (facts.gpus.empty()) {
    findings.push_back({FindingLevel::kGood, "GPU", "none; training runs on the cores", ""});
  } else {
    findings.push_back({FindingLevel::kGood, "GPU", fmt::format("{}", fmt::join(facts.gpus, ", ")), ""});
  }
  const FindingLevel files = facts.open_files < 256    ? FindingLevel::kBad
                             : facts.open_files < 1024 ? FindingLevel::kNote
                                                       : FindingLevel::kGood;
  findings.push_back({files, "open files", fmt::format("{} at most", facts.open_files),
                      files == FindingLevel::kGood ? "" : "ulimit -n 4096"});
  findings.push_back(JudgeAmount("shared memory", facts.shared_memory_bytes, 16 * kMiB, 64 * kMiB,
                                 "mount -o remount,size=1g /dev/shm, or docker run --shm-size=1g"));
  findings.push_back(JudgeAmount("disk", facts.disk_bytes, 64 * kMiB, kGiB,
                                 "free space in the working folder, or set output= elsewhere"));
  findings.push_back({facts.loopback ? FindingLevel::kGood : FindingLevel::kBad, "loopback",
                      facts.loopback ? "sockets listen on 127.0.0.1" : "no socket can listen on 127.0.0.1",
                      facts.loopback ? "" : "ip link set lo up"});
  findings.push_back(JudgeLibraries(facts));
  return findings;
}

}  // namespace weir
