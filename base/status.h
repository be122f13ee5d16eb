// Status and Result<T>: how Weir reports what a run can meet (files, peers, configuration, data).
//
// A Status is OK or carries a canonical code and a message that says what was expected, what came, where, and what to
// do next. Callers add what they know with Wrap(), so the message reads from the general to the cause:
//   "loading checkpoint out/step-200: reading rows-00003.arrow: expected 8192 bytes, found 4096".
// Bugs of our own are glog CHECKs instead; bytes from a disk or a network never reach one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <glog/logging.h>

namespace weir {

// Canonical codes; docs/failures.md says which is retried and which ends the run. They are on the wire: never renumber.
enum class StatusCode : int {
  kOk = 0,
  kInvalidArgument = 3,   // the caller's or user's input is wrong whatever the state of the world
  kDeadlineExceeded = 4,  // a bounded wait ran out
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   // disk full, byte budget reached, message over its bound
  kFailedPrecondition = 9,  // right request, wrong state: not resumed, another hash rule
  kAborted = 10,            // the job ends because another rank failed
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,  // a peer is dead or unreachable
  kDataLoss = 15,     // torn or corrupted bytes
  kUnauthenticated = 16,
};

// "InvalidArgument", "DataLoss", ...
std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    DCHECK(code != StatusCode::kOk);
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error with `context` put in front ("context: message"); OK stays OK.
  Status Wrap(std::string_view context) const;
  // "DataLoss: message", or "OK".
  std::string ToString() const;
  // For the rare place that has nothing to do with a failure (a destructor); says so at the call.
  void IgnoreError() const {}

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

Status InvalidArgument(std::string message);
Status DeadlineExceeded(std::string message);
Status NotFound(std::string message);
Status AlreadyExists(std::string message);
Status PermissionDenied(std::string message);
Status ResourceExhausted(std::string message);
Status FailedPrecondition(std::string message);
Status Aborted(std::string message);
Status OutOfRange(std::string message);
Status Unimplemented(std::string message);
Status Internal(std::string message);
Status Unavailable(std::string message);
Status DataLoss(std::string message);
Status Unauthenticated(std::string message);

// What errno says of a failed call on `what` (a path, a socket): ENOSPC and EDQUOT become ResourceExhausted, ENOENT
// NotFound, EACCES and EPERM PermissionDenied, EEXIST AlreadyExists, the rest Internal.
Status ErrnoStatus(int error_number, std::string_view what);

// A T or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    CHECK(!status_.ok()) << "a Result made from an OK Status has no value";
  }

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  const T& value() const& {
    CHECK(ok()) << status_.ToString();
    return *value_;
  }
  T& value() & {
    CHECK(ok()) << status_.ToString();
    return *value_;
  }
  T&& value() && {
    CHECK(ok()) << status_.ToString();
    return std::move(*value_);
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace weir

#define WEIR_CONCAT_INNER(a, b) a##b
#define WEIR_CONCAT(a, b) WEIR_CONCAT_INNER(a, b)

// Returns from the calling function when `expression` (a Status) is an error.
#define WEIR_RETURN_IF_ERROR(expression)       \
  do {                                         \
    ::weir::Status weir_status = (expression); \
    if (!weir_status.ok()) return weir_status; \
  } while (false)

// WEIR_ASSIGN_OR_RETURN(auto file, Open(path)): the value, or a return with the error.
#define WEIR_ASSIGN_OR_RETURN(declaration, expression) \
  WEIR_ASSIGN_OR_RETURN_INNER(WEIR_CONCAT(weir_result_, __LINE__), declaration, expression)
#define WEIR_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                        \
  if (!result.ok()) return result.status();                          \
  declaration = std::move(result).value()
