#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <glog/logging.h>

#include "bench/bench_line.h"
#include "bench/criteo_files.h"
#include "bench/loader_bench.h"

namespace weir::bench {
namespace {

constexpr int64_t kSmallBytes = 100'000'000;
constexpr double kMiB = 1 << 20;

// Peak resident memory of a process of its own that reads the file, in MiB.
double PeakOfReading(const std::string& path, bool shuffle) {
  const std::string child = "--memory_child=" + path, order = shuffle ? "--shuffle" : "--noshuffle";
  const pid_t pid = fork();
  PCHECK(pid >= 0);
  if (pid == 0) {
    execl("/proc/self/exe", "loader_bench", child.c_str(), order.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  rusage used;
  PCHECK(wait4(pid, &status, 0, &used) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the reading process ended with status " << status;
  return static_cast<double>(used.ru_maxrss) * 1024 / kMiB;
}

}  // namespace

void MemoryChild(const std::string& path, bool shuffle) { CHECK_GT(ReadAll(path, shuffle), 0); }

void MemoryBench(int64_t large_bytes) {
  std::string folder = (std::filesystem::temp_directory_path() / "weir-loader-memory-XXXXXX").string();
  CHECK(mkdtemp(folder.data()) != nullptr) << folder;
  const std::string small = folder + "/small.parquet", large = folder + "/large.parquet";
  const CriteoFormat format = {arrow::Compression::LZ4, /*dictionary=*/true};
  WriteCriteoFileOfBytes(small, kSmallBytes, format);
  WriteCriteoFileOfBytes(large, large_bytes, format);
  for (const bool shuffle : {false, true}) {
    const std::string name = fmt::format("memory_{}_gb{}", large_bytes / 1'000'000'000, shuffle ? "_shuffled" : "");
    Rounds peak_small, peak_large, above, limit;
    peak_small.Add(PeakOfReading(small, shuffle));
    peak_large.Add(PeakOfReading(large, shuffle));
    above.Add(std::max(1.0, peak_large.best() - peak_small.best()));  // a ratio needs some
    limit.Add(512);
    PrintLine("parquet", name + "_peak", "MiB", peak_large, "", nullptr);
    PrintLine("parquet", name + "_above_100_mb", "MiB", above, "limit_512_mib", shuffle ? nullptr : &limit);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace weir::bench
