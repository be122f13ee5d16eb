// Storage: where files lie, behind one face: local disks, object stores, web servers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/status.h"

namespace weir {

// What a storage says of a path.
struct StoredFile {
  std::string path;  // as messages and positions name it: a local path, or a URI without user, password and query
  bool is_folder = false;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // since 1970, as the storage says; 0 if it does not
  std::string version;      // what else tells a file from one written later: an ETag. Empty where there is nothing
  std::string folder_id;    // what identifies a folder, whatever the path to it. Empty where no path leads back
};

// Immutable; thread-safe. Every error names the path. NotFound and PermissionDenied mean what they say; Unavailable and
// DeadlineExceeded may pass, and trying again may help (see MayPass).
// Names that are nobody's data: "_SUCCESS", ".part-0.crc".
inline bool IsHidden(std::string_view name) { return name.empty() || name[0] == '.' || name[0] == '_'; }

class Storage {
 public:
  virtual ~Storage() = default;

  // The file or folder at `path`; NotFound if there is neither.
  virtual Result<StoredFile> Look(const std::string& path) const = 0;
  // What stands directly in a folder, in any order, hidden names too. NotFound if it is not there.
  virtual Result<std::vector<StoredFile>> List(const std::string& folder) const = 0;
  // The bytes of a file as it was looked up or listed; reads may come from any thread. DataLoss if it is another one
  // by now.
  virtual Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const = 0;
  // Whether reads cross a network: few long ones are then better than many short ones.
  virtual bool is_remote() const = 0;
};

// The DataLoss of a file that is not what was listed. `found` is a sentence part: "found 6 bytes".
Status ChangedFile(const StoredFile& expected, const std::string& found);

}  // namespace weir
