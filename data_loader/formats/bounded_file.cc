#include "data_loader/formats/bounded_file.h"

#include <algorithm>

#include <arrow/buffer.h>
#include <arrow/util/future.h>
#include <fmt/format.h>

namespace weir {

arrow::Result<std::shared_ptr<BoundedFile>> BoundedFile::Make(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                              arrow::MemoryPool* memory) {
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  return std::shared_ptr<BoundedFile>(new BoundedFile(std::move(file), size, memory));
}

arrow::Result<int64_t> BoundedFile::Available(int64_t position, int64_t nbytes) const {
  if (position < 0 || nbytes < 0 || position > size_bytes_) {
    return arrow::Status::IOError(fmt::format(
        "expected places in the {} bytes of the file, found {} bytes from byte {}", size_bytes_, nbytes, position));
  }
  return std::min(nbytes, size_bytes_ - position);
}

arrow::Status BoundedFile::Seek(int64_t position) {
  ARROW_RETURN_NOT_OK(Available(position, 0).status());
  return PositionedFile::Seek(position);
}

arrow::Result<int64_t> BoundedFile::ReadAt(int64_t position, int64_t nbytes, void* out) {
  ARROW_ASSIGN_OR_RAISE(nbytes, Available(position, nbytes));
  return file_->ReadAt(position, nbytes, out);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> BoundedFile::ReadAt(int64_t position, int64_t nbytes) {
  ARROW_ASSIGN_OR_RAISE(nbytes, Available(position, nbytes));
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(nbytes, memory_));
  ARROW_ASSIGN_OR_RAISE(const int64_t read, file_->ReadAt(position, nbytes, buffer->mutable_data()));
  ARROW_RETURN_NOT_OK(buffer->Resize(read));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

arrow::Future<std::shared_ptr<arrow::Buffer>> BoundedFile::ReadAsync(const arrow::io::IOContext&, int64_t position,
                                                                     int64_t nbytes) {
  return arrow::Future<std::shared_ptr<arrow::Buffer>>::MakeFinished(ReadAt(position, nbytes));
}

arrow::Future<std::shared_ptr<arrow::Buffer>> BoundedFile::ReadAsync(const arrow::io::IOContext&, int64_t position,
                                                                     int64_t nbytes, bool allow_short_read) {
  return arrow::Future<std::shared_ptr<arrow::Buffer>>::MakeFinished(ReadAt(position, nbytes, allow_short_read));
}

}  // namespace weir
