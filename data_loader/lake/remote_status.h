// What clients of remote storage say of a failure, sorted into what is final and what may pass.
#pragma once

#include <string_view>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

#include "base/status.h"

namespace weir {

// A failed call of one of Arrow's remote file systems on `what`. By the error's name or HTTP status, which Arrow hands
// on as text: NotFound and PermissionDenied (credentials that are missing, wrong or too weak) are final, as are
// requests that the service does not understand (InvalidArgument). Errors inside the service, too many requests, broken
// connections, and whatever has no known name are Unavailable: they may pass. Errors of our own (ToArrow) stay as they
// are.
Status FromRemote(const arrow::Status& status, std::string_view what);

template <typename T>
Result<T> FromRemote(arrow::Result<T> result, std::string_view what) {
  if (!result.ok()) return FromRemote(result.status(), what);
  return std::move(result).ValueUnsafe();
}

// The code of an HTTP status that is an error. 404 and 410 are NotFound, 401, 403 and 407 PermissionDenied; 408, 425,
// 429 and from 500 on (but for 501 and 505) Unavailable; others InvalidArgument.
StatusCode CodeOfHttpStatus(int http_status);

}  // namespace weir
