// CsvFile: a LakeFile of CSV or TSV, plain or packed with gzip. All columns are utf8 with white space around them
// dropped (csv.trim) and null where they are empty or one of csv.null_values; what a number is, the features say (see
// IsText).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/lake_file.h"
#include "data_loader/formats/unpacked_entry.h"
#include "proto/job.pb.h"

namespace weir {

class CsvFile : public LakeFile {
 public:
  // sniff: whether the format was only guessed, so that bytes which are plainly no text are told apart.
  // InvalidArgument for a delimiter that is not one character, no column names, or a file that ends inside quotes.
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry, const CsvConfig& config, bool sniff);

  // A reader holds the row group. A row with another number of fields than there are names is a broken one
  // (broken_rows.h).
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  using LakeFile::LakeFile;

  UnpackedEntry bytes_;
  char delimiter_ = ',';
  bool trim_ = true;
  std::vector<std::string> null_values_;
};

}  // namespace weir
