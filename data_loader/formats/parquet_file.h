// ParquetFile: a LakeFile of Parquet, page checksums verified.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/lake_file.h"

namespace parquet {
class FileMetaData;
}

namespace weir {

class ParquetFile : public LakeFile {
 public:
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry);

  // A reader holds one page of each column at a time, not the row group. Pages before `begin` are passed
  // over; where a column is a list, they are decoded and dropped.
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  using LakeFile::LakeFile;

  // Kept for files of many row groups, where parsing it again for each would cost more than the memory, and for remote
  // ones, which would be asked for it each time.
  std::shared_ptr<parquet::FileMetaData> footer_;
};

}  // namespace weir
