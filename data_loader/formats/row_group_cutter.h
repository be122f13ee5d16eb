// RowGroupCutter: row groups for formats that have none of their own: runs of lines or records.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "data_loader/formats/lake_file.h"

namespace weir {

// Rows and bytes after which a row group ends, whichever comes first.
constexpr int64_t kGroupRows = 8192;
constexpr int64_t kGroupBytes = 4 << 20;
// Of one row, its line end or framing included: a longer one is refused, so that a row group, which a reader holds
// whole, stays below 20 MiB.
constexpr int64_t kRowBytesMax = 16 << 20;

class RowGroupCutter {
 public:
  // Where the rows begin in the file.
  explicit RowGroupCutter(int64_t offset_bytes) { group_.offset_bytes = offset_bytes; }

  // A row ends here.
  void EndRow(int64_t end_offset) {
    ++group_.rows;
    PassOver(end_offset);
  }
  // What ends here is no row. It counts as bytes: however much of it there is, a group stays small.
  void PassOver(int64_t end_offset) {
    if (group_.rows == kGroupRows || end_offset - group_.offset_bytes >= kGroupBytes) Finish(end_offset);
  }
  // The file, or a group, ends here.
  void Finish(int64_t end_offset) {
    group_.size_bytes = end_offset - group_.offset_bytes;
    if (group_.rows > 0) groups_.push_back(group_);
    group_ = RowGroup{0, end_offset, 0};
  }
  std::vector<RowGroup> TakeGroups() { return std::move(groups_); }

 private:
  RowGroup group_;
  std::vector<RowGroup> groups_;
};

}  // namespace weir
