// Where the values of each row lie: in a column of lists, and in a string that is split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

namespace weir {

// Lists of Arrow with an element type: list, large list, fixed-size list (not maps, which are lists of pairs).
bool IsListType(const arrow::DataType& type);

// All elements of a list, large list or fixed-size list column, end to end, those of row i at [bounds[i], bounds[i+1]).
// Of lists of lists, those of the innermost: a row's lists one after another; null lists within it have none.
// bounds: [column.length() + 1]. A null row may have elements, which mean nothing.
std::shared_ptr<arrow::Array> ListElements(const arrow::Array& column, std::vector<int64_t>* bounds);

// The type of what ListElements() gives; `type` itself where it is no list.
const arrow::DataType& InnermostType(const arrow::DataType& type);

// Calls visit(part) for each part of `text`, empty ones too, except after a separator at the very end. Without text
// there is none. visit returns whether to go on.
template <typename Visit>
void ForEachPart(std::string_view text, std::string_view separator, const Visit& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + separator.size(), text.size()));
    if (!visit(part)) return;
  }
}

}  // namespace weir
