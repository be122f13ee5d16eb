#include "launch/rank_trace.h"

#include <cstring>
#include <vector>

#include <glog/logging.h>

#include "base/write_file.h"

namespace weir {

Result<std::unique_ptr<RankTrace>> RankTrace::Start(MpiWorld* world) {
  std::unique_ptr<RankTrace> trace(new RankTrace(world));
  if (world == nullptr) return trace;
  WEIR_RETURN_IF_ERROR(world->Barrier());
  const int64_t mine = trace->trace_.Now();
  std::vector<uint8_t> bytes(sizeof(mine));
  std::memcpy(bytes.data(), &mine, sizeof(mine));
  WEIR_ASSIGN_OR_RETURN(const auto all, world->AllGather(bytes));
  int64_t first = 0;
  if (all[0].size() != sizeof(first)) return Internal("rank 0 sent no time");
  std::memcpy(&first, all[0].data(), sizeof(first));
  if (world->host() != world->hosts()[0]) trace->offset_ns_ = first - mine;
  return trace;
}

Status RankTrace::Write(FileSystem* file_system, const std::string& path, const std::string& who) {
  const int rank = world_ == nullptr ? 0 : world_->rank();
  const std::string mine = trace_.ToEvents(rank, who, offset_ns_);
  std::string events = mine;
  if (world_ != nullptr) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(mine.data());
    WEIR_ASSIGN_OR_RETURN(const auto all, world_->AllGather({bytes, mine.size()}));
    events.clear();
    for (const std::vector<uint8_t>& theirs : all) events.append(theirs.begin(), theirs.end());
  }
  if (rank != 0) return Status();
  // The last event's comma and newline.
  events.resize(events.size() - 2);
  const Status written = WriteFile(file_system, path, "[\n" + events + "\n]\n");
  if (!written.ok()) LOG(WARNING) << "no trace: " << written.ToString();
  return Status();
}

}  // namespace weir
