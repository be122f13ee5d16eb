#include "data_loader/lake/arrow_status.h"

#include <arrow/util/io_util.h>
#include <fmt/format.h>

namespace weir {

Status FromArrow(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return Status();
  if (int error_number = arrow::internal::ErrnoFromStatus(status); error_number != 0) {
    return ErrnoStatus(error_number, what);
  }
  std::string message = fmt::format("{}: {}", what, status.message());
  switch (status.code()) {
    case arrow::StatusCode::OutOfMemory:
    case arrow::StatusCode::CapacityError:
      return ResourceExhausted(std::move(message));
    case arrow::StatusCode::NotImplemented:
      return Unimplemented(std::move(message));
    default:
      return DataLoss(std::move(message));
  }
}

}  // namespace weir
