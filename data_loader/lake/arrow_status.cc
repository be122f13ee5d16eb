#include "data_loader/lake/arrow_status.h"

#include <memory>
#include <string>

#include <arrow/util/io_util.h>
#include <fmt/format.h>

namespace weir {
namespace {

constexpr char kDetailName[] = "weir::Status";

class OwnStatus : public arrow::StatusDetail {
 public:
  explicit OwnStatus(Status status) : status_(std::move(status)) {}
  const char* type_id() const override { return kDetailName; }
  std::string ToString() const override { return std::string(StatusCodeName(status_.code())); }
  const Status& status() const { return status_; }

 private:
  const Status status_;
};

}  // namespace

arrow::Status ToArrow(const Status& error) {
  return arrow::Status(arrow::StatusCode::IOError, error.message(), std::make_shared<OwnStatus>(error));
}

bool IsOurs(const arrow::Status& status) {
  return status.detail() != nullptr && std::string_view(status.detail()->type_id()) == kDetailName;
}

Status FromArrow(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return Status();
  if (IsOurs(status)) {
    const Status& own = static_cast<const OwnStatus&>(*status.detail()).status();
    // It names the file already.
    return own.message().starts_with(what) ? own : own.Wrap(what);
  }
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
