// Arrow's streams over our files: writing computes size and CRC32C on the way, reading begins with checking them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// A file that Arrow writes. Nothing is buffered: Arrow hands over whole columns. One thread. Keeps the first error of
// the file system, which arrow::Status would blur.
class FileSink final : public arrow::io::OutputStream {
 public:
  static Result<std::shared_ptr<FileSink>> Create(FileSystem* file_system, const std::string& path);

  arrow::Status Write(const void* data, int64_t num_bytes) override;
  arrow::Status Close() override;
  arrow::Result<int64_t> Tell() const override { return bytes_; }
  bool closed() const override { return closed_; }

  // The file system's error if it had one, else what Arrow says.
  Status Explain(const arrow::Status& status) const;
  // Syncs and closes the file, and sets the entry's bytes and crc32c.
  Status Finish(DataFile* entry);

 private:
  FileSink(std::unique_ptr<WritableFile> file, std::string path);

  const std::unique_ptr<WritableFile> file_;
  const std::string path_;
  Status error_;
  int64_t bytes_ = 0;
  uint32_t crc32c_ = 0;
  bool closed_ = false;
};

// Reads the whole file folder/entry.name() once, in pieces, and returns it opened if its size and CRC32C are the
// entry's; else DataLoss. A read of the result never asks for memory beyond the file's size, whatever lengths stand in
// the file.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenVerified(FileSystem* file_system, const std::string& folder,
                                                                  const DataFile& entry);

// An error of decoding `path` as DataLoss (ResourceExhausted when memory is short).
Status DecodingError(const std::string& path, const arrow::Status& status);

}  // namespace weir
