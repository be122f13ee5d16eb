#include "data_loader/lake/remote_status.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include <arrow/util/io_util.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

// Names of the AWS SDK and codes of Google's client, as Arrow prints them.
constexpr std::string_view kMissing[] = {"NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND", "NOT_FOUND"};
constexpr std::string_view kDenied[] = {"ACCESS_DENIED",
                                        "INVALID_ACCESS_KEY_ID",
                                        "SIGNATURE_DOES_NOT_MATCH",
                                        "INVALID_SIGNATURE",
                                        "INCOMPLETE_SIGNATURE",
                                        "INVALID_CLIENT_TOKEN_ID",
                                        "MISSING_AUTHENTICATION_TOKEN",
                                        "UNRECOGNIZED_CLIENT",
                                        "OPT_IN_REQUIRED",
                                        "REQUEST_TIME_TOO_SKEWED",
                                        "REQUEST_EXPIRED",
                                        "PERMISSION_DENIED",
                                        "UNAUTHENTICATED"};
constexpr std::string_view kMisunderstood[] = {"INVALID_ACTION",
                                               "INVALID_PARAMETER_COMBINATION",
                                               "INVALID_PARAMETER_VALUE",
                                               "INVALID_QUERY_PARAMETER",
                                               "MALFORMED_QUERY_STRING",
                                               "MISSING_ACTION",
                                               "MISSING_PARAMETER",
                                               "VALIDATION",
                                               "INVALID_OBJECT_STATE",
                                               "INVALID_ARGUMENT",
                                               "FAILED_PRECONDITION",
                                               "OUT_OF_RANGE",
                                               "UNIMPLEMENTED"};

template <size_t N>
bool Holds(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// What follows `mark`, as long as it is made of `letters`.
std::string_view WordAfter(std::string_view text, std::string_view mark, std::string_view letters) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + mark.size());
  return text.substr(0, std::min(text.find_first_not_of(letters), text.size()));
}

std::optional<StatusCode> CodeOfText(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  std::string_view name = WordAfter(text, "AWS Error ", kLetters);
  if (name.empty()) name = WordAfter(text, "google::cloud::Status(", kLetters);
  if (Holds(kMissing, name)) return StatusCode::kNotFound;
  if (Holds(kDenied, name)) return StatusCode::kPermissionDenied;
  if (Holds(kMisunderstood, name)) return StatusCode::kInvalidArgument;
  int http_status = 0;
  const std::string_view digits = WordAfter(text, "HTTP status ", "0123456789");
  std::from_chars(digits.data(), digits.data() + digits.size(), http_status);
  if (http_status >= 300) return CodeOfHttpStatus(http_status);
  if (!name.empty()) return StatusCode::kUnavailable;
  // What a file of gs says when its connection broke in the middle of a read.
  if (text.find("Cannot read from closed file") != std::string_view::npos) return StatusCode::kUnavailable;
  // Arrow's own words, where it lists a folder that is not there.
  for (const std::string_view words : {"No such file or directory", "does not exist"}) {
    if (text.find(words) != std::string_view::npos) return StatusCode::kNotFound;
  }
  return std::nullopt;
}

}  // namespace

StatusCode CodeOfHttpStatus(int http_status) {
  switch (http_status) {
    case 404:
    case 410:
      return StatusCode::kNotFound;
    case 401:
    case 403:
    case 407:
      return StatusCode::kPermissionDenied;
    case 408:
    case 425:
    case 429:
      return StatusCode::kUnavailable;
    case 501:
    case 505:
      return StatusCode::kInvalidArgument;
    default:
      return http_status >= 500 ? StatusCode::kUnavailable : StatusCode::kInvalidArgument;
  }
}

Status FromRemote(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return Status();
  const Status plain = FromArrow(status, what);
  if (IsOurs(status)) return plain;
  if (arrow::internal::ErrnoFromStatus(status) != 0) {
    // Arrow's sentence says more than that of the errno, and what no errno of ours names is a fault of the service.
    const StatusCode code = plain.code() == StatusCode::kInternal ? StatusCode::kUnavailable : plain.code();
    return Status(code, fmt::format("{}: {}", what, status.message()));
  }
  if (const auto code = CodeOfText(status.message()))
    return Status(*code, fmt::format("{}: {}", what, status.message()));
  if (status.IsIOError() || status.IsUnknownError()) return Unavailable(plain.message());
  return plain;
}

}  // namespace weir
