// ArrowFile: a LakeFile of Arrow IPC, of the file format (Feather version 2) or of the stream format; each record batch
// is a row group. Their bytes carry no checksums: what is read is held to the format (ValidateFull), no more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data_loader/formats/arrow_messages.h"
#include "data_loader/formats/lake_file.h"

namespace weir {

// The memory that reading one record batch may take: the named columns, unpacked, and all dictionaries.
constexpr int64_t kArrowBatchBytesMax = 512 << 20;

class ArrowFile : public LakeFile {
 public:
  // Reads the schema and the metadata of every batch. DataLoss for a file without footer, a stream without end.
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry);

  // A reader holds the whole record batch, which readers of the same one share. Of the file format only the named
  // columns are read; of a stream all of the batch and of the dictionaries before it. ResourceExhausted past
  // kArrowBatchBytesMax.
  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override;

 private:
  using LakeFile::LakeFile;

  Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch(int group, const std::vector<std::string>& columns) const;

  bool is_stream_ = false;
  std::vector<ArrowMessage> messages_;  // of a stream
  // The batch read last, as long as somebody holds it.
  mutable std::weak_ptr<arrow::RecordBatch> last_;
  mutable int last_group_ = -1;
  mutable std::vector<std::string> last_columns_;
};

}  // namespace weir
