// BoundedFile: a file that is never asked for more than it has, whatever lengths its own bytes claim.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/type_fwd.h>

#include "data_loader/lake/positioned_file.h"

namespace weir {

// Reads that go past the end are cut there before memory is taken for them, from `memory`; a place outside the file is
// an IOError. ReadAt is as thread-safe as the file's.
class BoundedFile : public PositionedFile {
 public:
  // memory: must outlive the buffers read.
  static arrow::Result<std::shared_ptr<BoundedFile>> Make(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                          arrow::MemoryPool* memory);

  using PositionedFile::ReadAt;
  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override { return size_bytes_; }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override;
  // Done at once, in this thread: one of Arrow's would let go of the buffer when `memory` may be gone.
  arrow::Future<std::shared_ptr<arrow::Buffer>> ReadAsync(const arrow::io::IOContext& context, int64_t position,
                                                          int64_t nbytes) override;
  arrow::Future<std::shared_ptr<arrow::Buffer>> ReadAsync(const arrow::io::IOContext& context, int64_t position,
                                                          int64_t nbytes, bool allow_short_read) override;

 private:
  BoundedFile(std::shared_ptr<arrow::io::RandomAccessFile> file, int64_t size_bytes, arrow::MemoryPool* memory)
      : file_(std::move(file)), size_bytes_(size_bytes), memory_(memory) {}

  // How many of the bytes there are.
  arrow::Result<int64_t> Available(int64_t position, int64_t nbytes) const;

  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const int64_t size_bytes_;
  arrow::MemoryPool* const memory_;
};

}  // namespace weir
