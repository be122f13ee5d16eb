#include "data_loader/columns/list_bounds.h"

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>

namespace weir {
namespace {

// Calls visit(lists) with the column as what it is.
template <typename Visit>
auto VisitLists(const arrow::Array& column, const Visit& visit) {
  if (column.type_id() == arrow::Type::LIST) return visit(static_cast<const arrow::ListArray&>(column));
  if (column.type_id() == arrow::Type::LARGE_LIST) return visit(static_cast<const arrow::LargeListArray&>(column));
  return visit(static_cast<const arrow::FixedSizeListArray&>(column));
}

// The same for lists within a row, of which null ones have no elements.
std::shared_ptr<arrow::Array> InnerElements(const arrow::Array& column, std::vector<int64_t>* bounds) {
  return VisitLists(column, [&](const auto& lists) {
    bounds->assign(1, 0);
    for (int64_t i = 0; i < lists.length(); ++i) {
      bounds->push_back(bounds->back() + (lists.IsNull(i) ? 0 : lists.value_length(i)));
    }
    return lists.Flatten(arrow::default_memory_pool()).ValueOrDie();  // fails for lack of memory only
  });
}

}  // namespace

bool IsListType(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST ||
         type.id() == arrow::Type::FIXED_SIZE_LIST;
}

std::shared_ptr<arrow::Array> ListElements(const arrow::Array& column, std::vector<int64_t>* bounds) {
  const int64_t n = column.length();
  bounds->resize(n + 1);
  std::shared_ptr<arrow::Array> elements = VisitLists(column, [&](const auto& lists) {
    for (int64_t i = 0; i <= n; ++i) (*bounds)[i] = lists.value_offset(i) - lists.value_offset(0);
    return lists.values()->Slice(lists.value_offset(0), (*bounds)[n]);
  });
  std::vector<int64_t> inner;
  while (IsListType(*elements->type())) {
    elements = InnerElements(*elements, &inner);
    for (int64_t& bound : *bounds) bound = inner[bound];
  }
  return elements;
}

const arrow::DataType& InnermostType(const arrow::DataType& type) {
  const arrow::DataType* element = &type;
  while (IsListType(*element)) element = element->field(0)->type().get();
  return *element;
}

}  // namespace weir
