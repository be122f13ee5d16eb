// LocalStorage: files and folders that the operating system mounts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/lake/storage.h"

namespace weir {

// Symbolic links are followed. A file is another one when its size or the time of its last change is.
class LocalStorage : public Storage {
 public:
  Result<StoredFile> Look(const std::string& path) const override;
  Result<std::vector<StoredFile>> List(const std::string& folder) const override;
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const override;
  bool is_remote() const override { return false; }
};

}  // namespace weir
