#include "launch/host_checks.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace weir {
namespace {

HostFacts GoodHost() {
  HostFacts facts;
  facts.mpirun_version = "mpirun (Open MPI) 4.1.4";
  facts.mpirun_starts = true;
  facts.cores = 8;
  facts.memory_bytes = int64_t{32} << 30;
  facts.open_files = 4096;
  facts.shared_memory_bytes = int64_t{1} << 30;
  facts.disk_bytes = int64_t{100} << 30;
  facts.loopback = true;
  facts.torch = "/venv/libtorch_cpu.so";
  facts.arrow = "/venv/libarrow.so.2600";
  facts.vectors = "AVX2";
  return facts;
}

Finding Of(const HostFacts& facts, const std::string& subject) {
  for (const Finding& finding : JudgeHost(facts)) {
    if (finding.subject == subject) return finding;
  }
  ADD_FAILURE() << "nothing about " << subject;
  return {};
}

TEST(JudgeHost, AGoodHostNeedsNoFix) {
  for (const Finding& finding : JudgeHost(GoodHost())) {
    EXPECT_EQ(finding.level, FindingLevel::kGood) << finding.subject;
    EXPECT_EQ(finding.fix, "") << finding.subject;
    EXPECT_NE(finding.found, "") << finding.subject;
  }
}

// Breaks one fact and expects a finding of that level with a fix that holds `fix`.
void ExpectFinding(void (*spoil)(HostFacts*), const std::string& subject, FindingLevel level, const std::string& fix) {
  HostFacts facts = GoodHost();
  spoil(&facts);
  const Finding finding = Of(facts, subject);
  EXPECT_EQ(finding.level, level) << subject;
  EXPECT_NE(finding.fix.find(fix), std::string::npos) << finding.fix;
}

TEST(JudgeHost, NamesTheFixOfEachFault) {
  ExpectFinding([](HostFacts* f) { f->mpirun_version = ""; }, "MPI", FindingLevel::kBad, "apt-get install openmpi-bin");
  ExpectFinding([](HostFacts* f) { f->mpirun_starts = false; }, "MPI", FindingLevel::kBad, "mpirun --bind-to none");
  ExpectFinding([](HostFacts* f) { f->cores = 1; }, "cores", FindingLevel::kNote, "taskset");
  ExpectFinding([](HostFacts* f) { f->memory_bytes = 1 << 20; }, "memory", FindingLevel::kBad, "limit");
  ExpectFinding([](HostFacts* f) { f->memory_bytes = 1 << 30; }, "memory", FindingLevel::kNote, "limit");
  ExpectFinding([](HostFacts* f) { f->open_files = 64; }, "open files", FindingLevel::kBad, "ulimit -n 4096");
  ExpectFinding([](HostFacts* f) { f->open_files = 512; }, "open files", FindingLevel::kNote, "ulimit -n 4096");
  ExpectFinding([](HostFacts* f) { f->shared_memory_bytes = -1; }, "shared memory", FindingLevel::kBad, "--shm-size");
  ExpectFinding([](HostFacts* f) { f->disk_bytes = 1 << 20; }, "disk", FindingLevel::kBad, "output=");
  ExpectFinding([](HostFacts* f) { f->loopback = false; }, "loopback", FindingLevel::kBad, "ip link set lo up");
  ExpectFinding([](HostFacts* f) { f->torch = ""; }, "libraries", FindingLevel::kBad, "launch/setup.sh");
}

TEST(GatherHostFacts, SeesThisHost) {
  const HostFacts facts = GatherHostFacts();
  EXPECT_GE(facts.cores, 1);
  EXPECT_GT(facts.memory_bytes, 0);
  EXPECT_GT(facts.open_files, 0u);
  EXPECT_TRUE(facts.loopback);
  EXPECT_NE(facts.vectors, "");
}

}  // namespace
}  // namespace weir
