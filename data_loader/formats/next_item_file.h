// NextItemFile: a LakeFile whose rows are places in the sequences of another one's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/lake_file.h"

namespace weir {

// For the place t of the list column C of a row: all its columns, with C cut down to the values before t, and C_next,
// the value at t (NextItemConfig). Places of a row, then rows, come in the order of the file.
//
// A row group is one of the other file's. Memory: 8 bytes for 1,024 of its rows, and one of its record batches while it
// is read.
class NextItemFile : public LakeFile {
 public:
  // Reads the list column of `rows` to count the places. InvalidArgument for a column that is missing or no list, or a
  // name that is taken.
  static Result<std::unique_ptr<LakeFile>> Open(std::unique_ptr<LakeFile> rows, const NextItemConfig& config);

  // InvalidArgument, as it is read, when an aligned column has another number of values than C.
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  NextItemFile(std::unique_ptr<LakeFile> rows, const NextItemConfig& config);
  Result<int64_t> CountPlaces(int group);

  const std::unique_ptr<LakeFile> rows_;
  const NextItemConfig config_;
  std::vector<std::string> lists_;           // C, then the aligned ones
  std::vector<std::vector<int64_t>> marks_;  // by row group: the places before each 1,024th row
};

}  // namespace weir
