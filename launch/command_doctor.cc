#include <cstdio>

#include <fmt/format.h>

#include "launch/commands.h"
#include "launch/host_checks.h"

namespace weir {

int RunDoctor(const CommandLine&) {
  int bad = 0;
  for (const Finding& finding : JudgeHost(GatherHostFacts())) {
    const char* mark = finding.level == FindingLevel::kGood   ? "ok"
                       : finding.level == FindingLevel::kNote ? "note"
                                                              : "BAD";
    fmt::print("{:<5} {:<14} {}\n", mark, finding.subject, finding.found);
    if (!finding.fix.empty()) fmt::print("{:<5} {:<14} fix: {}\n", "", "", finding.fix);
    bad += finding.level == FindingLevel::kBad;
  }
  if (bad > 0) fmt::print("{} of the checks failed; training would fail here\n", bad);
  return bad == 0 ? 0 : 1;
}

}  // namespace weir
