// UnpackedEntry: the bytes of a listed file as its format has them, unpacked where they are packed with gzip.
#pragma once

#include <memory>

#include <arrow/io/type_fwd.h>

#include "base/status.h"
#include "data_loader/formats/gzip_file.h"
#include "data_loader/lake/lake.h"

namespace weir {

// Thread-safe. Files of other sizes than they were listed with are DataLoss, as by OpenEntry.
class UnpackedEntry {
 public:
  // A file that is not packed.
  UnpackedEntry() = default;
  static UnpackedEntry Plain() { return {}; }
  // Gzip is known by its first bytes (the magic and "deflate"), with .gz as the file's ending or without.
  // InvalidArgument for that ending without those bytes.
  static Result<UnpackedEntry> Detect(const LakeEntry& entry);

  // Opens it anew; the first reader of a packed file should read it from front to back.
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const LakeEntry& entry) const;

 private:
  std::shared_ptr<GzipIndex> gzip_;  // null: not packed
};

}  // namespace weir
