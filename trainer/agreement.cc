#include "trainer/agreement.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace weir {

Status AgreeOnStatus(Collective& collective, const Status& mine) {
  if (collective.size() == 1) return mine;
  std::vector<uint8_t> bytes(1 + mine.message().size());
  bytes[0] = static_cast<uint8_t>(mine.code());
  std::copy(mine.message().begin(), mine.message().end(), bytes.begin() + 1);
  WEIR_ASSIGN_OR_RETURN(auto all, collective.AllGather(bytes));
  for (int rank = 0; rank < collective.size(); ++rank) {
    const std::vector<uint8_t>& theirs = all[rank];
    if (theirs.empty()) return Internal(fmt::format("worker {} sent no status", rank));
    if (theirs[0] == static_cast<uint8_t>(StatusCode::kOk)) continue;
    if (rank == collective.rank()) return mine;
    Status status(static_cast<StatusCode>(theirs[0]), std::string(theirs.begin() + 1, theirs.end()));
    return status.Wrap(fmt::format("worker {}", rank));
  }
  return Status();
}

}  // namespace weir
