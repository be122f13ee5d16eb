// What `weir doctor` looks at: facts of the host, and what they mean for training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

struct HostFacts {
  std::string mpirun_version;  // the first line of `mpirun --version`; empty when it cannot be run
  bool mpirun_starts = false;  // whether it started two ranks
  std::string mpirun_said;     // what it said when it did not
  int cores = 0;               // that this process may use
  int64_t memory_bytes = 0;    // available, within the limit of the control group
  std::vector<std::string> gpus;
  uint64_t open_files = 0;          // the soft limit
  int64_t shared_memory_bytes = 0;  // free in /dev/shm; negative when it is not there
  int64_t disk_bytes = 0;           // free in the working folder
  bool loopback = false;            // whether a socket can listen on 127.0.0.1
  std::string torch;                // the libraries in use, by path; empty when not loaded
  std::string arrow;
  std::string vectors;  // "AVX-512", "AVX2" or "scalar"
};

// Starts mpirun and nvidia-smi, each with a deadline.
HostFacts GatherHostFacts();

enum class FindingLevel { kGood, kNote, kBad };

struct Finding {
  FindingLevel level = FindingLevel::kGood;
  std::string subject;
  std::string found;
  std::string fix;  // what to type or change; empty when nothing
};

// In the order of the facts. kBad: training would fail. kNote: it works, but worse.
std::vector<Finding> JudgeHost(const HostFacts& facts);

}  // namespace weir
