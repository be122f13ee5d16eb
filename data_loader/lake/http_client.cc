#include "data_loader/lake/http_client.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include <curl/curl.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include "base/clock.h"
#include "data_loader/lake/remote_status.h"

namespace weir {
namespace {

constexpr long kConnectTimeoutMs = 10'000;
constexpr long kSilenceSeconds = 30;
// Less than this over kSilenceSeconds counts as silence: a range of 1 MiB is here within a quarter of an hour, or
// never.
constexpr long kSlowestBytesPerS = 1024;
constexpr long kRedirectsMax = 5;
// Of an answer that is no file: read, so that the connection can be used again, but not for ever.
constexpr size_t kErrorBodyBytesMax = 64 << 10;

struct Answer {
  explicit Answer(std::span<uint8_t> wanted) : out(wanted) {}

  std::span<uint8_t> out;
  int http_status = 0;
  size_t body_bytes = 0;
  bool too_long = false;        // more came than was asked for
  int64_t content_length = -1;  // -1: not said
  int64_t file_bytes = -1;      // of Content-Range
  int64_t first_byte = -1;      // of Content-Range
  std::string version;
  int64_t modified_ns = 0;
};

int64_t Number(std::string_view text) {
  int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "bytes 0-99/1234", "bytes */1234".
void ParseContentRange(std::string_view value, Answer* answer) {
  if (!value.starts_with("bytes ")) return;
  value.remove_prefix(6);
  answer->first_byte = Number(value);
  if (const size_t slash = value.find('/'); slash != value.npos) answer->file_bytes = Number(value.substr(slash + 1));
}

// One line of the headers, of redirects too: each answer begins anew.
size_t OnHeader(char* data, size_t size, size_t count, void* context) {
  auto* answer = static_cast<Answer*>(context);
  std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    *answer = Answer(answer->out);
    if (const size_t space = line.find(' '); space != line.npos) {
      answer->http_status = static_cast<int>(Number(line.substr(space + 1)));
    }
    return size * count;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos) return size * count;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r' || value.back() == ' '))
    value.remove_suffix(1);
  if (name == "content-length") answer->content_length = Number(value);
  if (name == "content-range") ParseContentRange(value, answer);
  if (name == "etag") answer->version = value;
  if (name == "last-modified") {
    const time_t seconds = curl_getdate(std::string(value).c_str(), nullptr);
    if (seconds > 0) answer->modified_ns = seconds * kNanosPerSecond;
  }
  return size * count;
}

size_t OnBody(char* data, size_t size, size_t count, void* context) {
  auto* answer = static_cast<Answer*>(context);
  const size_t bytes = size * count;
  const bool is_range = answer->http_status == 206;
  const size_t room = is_range ? answer->out.size() : kErrorBodyBytesMax;
  if (answer->http_status == 200 || bytes > room - answer->body_bytes) {
    answer->too_long = true;
    return 0;  // ends the transfer
  }
  if (is_range) std::memcpy(answer->out.data() + answer->body_bytes, data, bytes);
  answer->body_bytes += bytes;
  return bytes;
}

Status CurlStatus(CURLcode code, const std::string& shown, const char* detail) {
  const std::string message =
      fmt::format("{}: {}{}{}", shown, curl_easy_strerror(code), *detail != 0 ? ": " : "", detail);
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
      return InvalidArgument(message);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return Unauthenticated(message);
    case CURLE_OUT_OF_MEMORY:
      return ResourceExhausted(message);
    default:
      return Unavailable(message);
  }
}

// What the answer means, once the transfer was made or ended.
Result<HttpRange> Judge(const Answer& answer, const std::string& shown, int64_t begin) {
  HttpRange range;
  range.version = answer.version;
  range.modified_ns = answer.modified_ns;
  const bool is_empty_file = (answer.http_status == 416 && answer.file_bytes == 0) ||
                             (answer.http_status == 200 && answer.content_length == 0);
  if (is_empty_file) return range;
  if (answer.http_status == 200) {
    return Unimplemented(fmt::format(
        "{}: expected HTTP 206, a range of the file, found 200: this server does not serve ranges; copy the "
        "file to a disk or an object store",
        shown));
  }
  if (answer.http_status == 416) {
    return DataLoss(fmt::format("{}: expected a file of more than {} bytes, found {}: it was changed while it was read",
                                shown, begin, answer.file_bytes));
  }
  if (answer.http_status != 206) {
    return Status(CodeOfHttpStatus(answer.http_status), fmt::format("{}: HTTP status {}", shown, answer.http_status));
  }
  if (answer.first_byte != begin || answer.file_bytes < 0 || answer.too_long) {
    return InvalidArgument(fmt::format(
        "{}: expected HTTP 206 with the bytes from {} on and the file's size in Content-Range, found another range",
        shown, begin));
  }
  range.file_bytes = answer.file_bytes;
  range.bytes = static_cast<int64_t>(answer.body_bytes);
  return range;
}

void* NewHandle() {
  CURL* curl = curl_easy_init();
  CHECK(curl != nullptr) << "curl_easy_init";
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowestBytesPerS);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir");
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  return curl;
}

}  // namespace

// The library wants it once in a process, before its first handle, and has no use for an end.
HttpClient::HttpClient() {
  static const CURLcode begun = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK_EQ(begun, CURLE_OK);
}

HttpClient::~HttpClient() {
  for (void* handle : idle_) curl_easy_cleanup(handle);
}

void* HttpClient::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return NewHandle();
  void* handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void HttpClient::GiveBack(void* handle) {
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(handle);
}

Result<HttpRange> HttpClient::Get(const std::string& url, const std::string& shown, int64_t begin,
                                  std::span<uint8_t> out) {
  CURL* curl = Take();
  Answer answer(out);
  char detail[CURL_ERROR_SIZE] = "";
  const std::string range = fmt::format("{}-{}", begin, begin + static_cast<int64_t>(out.size()) - 1);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  GiveBack(curl);
  if (code != CURLE_OK && !answer.too_long) return CurlStatus(code, shown, detail);
  return Judge(answer, shown, begin);
}

}  // namespace weir
