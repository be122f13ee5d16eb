// HttpClient: ranges of files from web servers, over libcurl.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weir {

struct HttpRange {
  int64_t file_bytes = 0;   // of the whole file, as the server says
  int64_t bytes = 0;        // that came
  std::string version;      // the ETag; empty if there is none
  int64_t modified_ns = 0;  // Last-Modified, since 1970; 0 if there is none
};

// Self-synchronised: one request a thread at a time, over connections that are kept.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Bytes [begin, begin + out.size()) of the file at `url`, fewer at its end. Tries once; a server that sends nothing
  // for 30 s, or does not take the connection within 10 s, is Unavailable. At most 5 redirects are followed, from https
  // to https only. Errors name `shown`: codes as CodeOfHttpStatus has them; Unimplemented for a server that answers
  // without ranges. out: not empty.
  Result<HttpRange> Get(const std::string& url, const std::string& shown, int64_t begin, std::span<uint8_t> out);

 private:
  void* Take();
  void GiveBack(void* handle);

  std::mutex mutex_;
  std::vector<void*> idle_;  // handles of curl, one per connection; guarded by mutex_
};

}  // namespace weir
