// Arrow's errors as ours: every call into Arrow or Parquet passes its outcome through here.
#pragma once

#include <string_view>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

#include "base/status.h"

namespace weir {

// What Arrow said of reading `what` (a path): the operating system's errors keep their meaning (NotFound,
// PermissionDenied), lack of memory is ResourceExhausted, a codec or encoding that is not built in Unimplemented;
// everything else (magic bytes, checksums, torn pages, bad lengths) means that the bytes are not what they should be:
// DataLoss. An error of our own that came through Arrow (ToArrow) is what it was.
Status FromArrow(const arrow::Status& status, std::string_view what);

template <typename T>
Result<T> FromArrow(arrow::Result<T> result, std::string_view what) {
  if (!result.ok()) return FromArrow(result.status(), what);
  return std::move(result).ValueUnsafe();
}

// An error of ours on its way through Arrow, from a file that we gave it to the call that made it read.
arrow::Status ToArrow(const Status& error);
// Whether ToArrow made it.
bool IsOurs(const arrow::Status& status);

}  // namespace weir
