// HttpStorage: one file of a web server, read in ranges.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/lake/http_client.h"
#include "data_loader/lake/lake_uri.h"
#include "data_loader/lake/storage.h"

namespace weir {

// The only path is that of the uri: web servers have no folders that can be listed. The file is another one when its
// size, its ETag or its Last-Modified is; every answer is held to them.
class HttpStorage : public Storage {
 public:
  // An http or https uri, with its user, password and query if it has them.
  explicit HttpStorage(const LakeUri& uri);

  Result<StoredFile> Look(const std::string& path) const override;
  // Unimplemented.
  Result<std::vector<StoredFile>> List(const std::string& folder) const override;
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const override;
  bool is_remote() const override { return true; }

 private:
  const std::string url_;
  const std::string shown_;
  const std::shared_ptr<HttpClient> client_;
};

}  // namespace weir
