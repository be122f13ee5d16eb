#include "trainer/bad_row_counts.h"

namespace weir {

BadRowKind BadRowCounts::Add(const BadRowKind& kind, int64_t rows) {
  rows_ += rows;
  auto found = kinds_.find(kind);
  if (found == kinds_.end()) {
    const bool full = kinds_.size() >= kKindsMax;
    found = kinds_.try_emplace(full ? BadRowKind{"others", "others", "others"} : kind).first;
  }
  found->second += rows;
  return found->first;
}

void BadRowCounts::Add(const google::protobuf::RepeatedPtrField<BadRowCount>& counts) {
  for (const BadRowCount& count : counts) Add({count.file(), count.column(), count.reason()}, count.rows());
}

void BadRowCounts::Save(google::protobuf::RepeatedPtrField<BadRowCount>* counts) const {
  counts->Clear();
  for (const auto& [kind, rows] : kinds_) {
    BadRowCount* count = counts->Add();
    count->set_file(kind.file);
    count->set_column(kind.column);
    count->set_reason(kind.reason);
    count->set_rows(rows);
  }
}

}  // namespace weir
