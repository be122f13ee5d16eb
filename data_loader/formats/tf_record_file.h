// TfRecordFile: a LakeFile of TFRecords that hold tf.Example, plain or packed with gzip.
//
// A file does not say which features its records have: the records of its first row group do. Each feature they name is
// a column: int64 (int64_list), float (float_list) or binary (bytes_list) where none of them has more than one value,
// and it is not in tfrecord.list_columns, a list of these otherwise. A record without the feature, or without values
// where the column is no list, has a null; features that only later records have are no columns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/lake_file.h"
#include "data_loader/formats/unpacked_entry.h"
#include "proto/job.pb.h"

namespace weir {

class TfRecordFile : public LakeFile {
 public:
  // Reads all records' lengths (and unpacks the whole file, where it is packed), the first row group whole.
  // DataLoss for checksums that do not fit and torn files, InvalidArgument for what is no tf.Example.
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry, const TfRecordConfig& config);

  // A reader holds the row group's bytes. A feature of another kind than its column, or of several values in a column
  // that is no list, is InvalidArgument.
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  using LakeFile::LakeFile;

  Result<std::shared_ptr<arrow::Buffer>> ReadGroup(const RowGroup& group) const;

  UnpackedEntry bytes_;
};

}  // namespace weir
