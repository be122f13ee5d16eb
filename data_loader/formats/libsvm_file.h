// LibsvmFile: a LakeFile of libsvm or libffm text, plain or packed with gzip. Columns:
//
//   label   float
//   fields  list<int64>   libffm only
//   indices list<int64>
//   values  list<float>
//
// The lists of a row have one length: a sparse feature reads `indices` with `values` as its weight column.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/lake_file.h"
#include "data_loader/formats/libsvm_line.h"
#include "data_loader/formats/unpacked_entry.h"

namespace weir {

class LibsvmFile : public LakeFile {
 public:
  // Finds the lines. InvalidArgument for a line of more than kRowBytesMax bytes, and when the first row is plainly of
  // the other kind or no row at all.
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry, LibsvmKind kind);

  // A reader holds the row group's text. A line that is no row is InvalidArgument.
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  LibsvmFile(const LakeEntry& entry, LibsvmKind kind) : LakeFile(entry), kind_(kind) {}

  const LibsvmKind kind_;
  UnpackedEntry bytes_;
};

}  // namespace weir
