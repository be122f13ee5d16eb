#include "data_loader/columns/list_bounds.h"

#include <arrow/array.h>
#include <arrow/type.h>

namespace weir {

std::shared_ptr<arrow::Array> ListElements(const arrow::Array& column, std::vector<int64_t>* bounds) {
  const int64_t n = column.length();
  bounds->resize(n + 1);
  auto read = [&](const auto& lists) {
    for (int64_t i = 0; i <= n; ++i) (*bounds)[i] = lists.value_offset(i) - lists.value_offset(0);
    return lists.values()->Slice(lists.value_offset(0), (*bounds)[n]);
  };
  if (column.type_id() == arrow::Type::LIST) return read(static_cast<const arrow::ListArray&>(column));
  if (column.type_id() == arrow::Type::LARGE_LIST) return read(static_cast<const arrow::LargeListArray&>(column));
  return read(static_cast<const arrow::FixedSizeListArray&>(column));
}

}  // namespace weir
