#include "checkpoint/arrow_io.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <fmt/format.h>

#include "base/crc32c.h"

namespace weir {
namespace {

constexpr int64_t kVerifyChunkBytes = 1 << 20;

// A file whose size is known: reads beyond its end are cut before memory is asked for them.
class SizedFile final : public arrow::io::RandomAccessFile {
 public:
  SizedFile(std::shared_ptr<arrow::io::ReadableFile> file, int64_t size) : file_(std::move(file)), size_(size) {}

  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Result<int64_t> GetSize() override { return size_; }

  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Read(int64_t num_bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(int64_t got, ReadAt(position_, num_bytes, out));
    position_ += got;
    return got;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t num_bytes) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, ReadAt(position_, num_bytes));
    position_ += buffer->size();
    return buffer;
  }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t num_bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(int64_t bounded, Bound(position, num_bytes));
    return file_->ReadAt(position, bounded, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t num_bytes) override {
    ARROW_ASSIGN_OR_RAISE(int64_t bounded, Bound(position, num_bytes));
    return file_->ReadAt(position, bounded);
  }
  using arrow::io::RandomAccessFile::ReadAt;

 private:
  arrow::Result<int64_t> Bound(int64_t position, int64_t num_bytes) const {
    if (position < 0 || position > size_ || num_bytes < 0) {
      return arrow::Status::Invalid("a read of ", num_bytes, " bytes at ", position, " in a file of ", size_);
    }
    return std::min(num_bytes, size_ - position);
  }

  const std::shared_ptr<arrow::io::ReadableFile> file_;
  const int64_t size_;
  int64_t position_ = 0;
};

}  // namespace

FileSink::FileSink(std::unique_ptr<WritableFile> file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {
  set_mode(arrow::io::FileMode::WRITE);
}

Result<std::shared_ptr<FileSink>> FileSink::Create(FileSystem* file_system, const std::string& path) {
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, file_system->Create(path));
  return std::shared_ptr<FileSink>(new FileSink(std::move(file), path));
}

arrow::Status FileSink::Write(const void* data, int64_t num_bytes) {
  if (error_.ok()) error_ = file_->Append({static_cast<const uint8_t*>(data), static_cast<size_t>(num_bytes)});
  if (!error_.ok()) return arrow::Status::IOError(error_.message());
  crc32c_ = ExtendCrc32c(crc32c_, data, num_bytes);
  bytes_ += num_bytes;
  return arrow::Status::OK();
}

arrow::Status FileSink::Close() {
  closed_ = true;
  return arrow::Status::OK();
}

Status FileSink::Explain(const arrow::Status& status) const {
  if (status.ok()) return Status();
  if (!error_.ok()) return error_;
  if (status.IsOutOfMemory()) return ResourceExhausted(fmt::format("writing {}: {}", path_, status.message()));
  return Internal(fmt::format("writing {}: {}", path_, status.message()));
}

Status FileSink::Finish(DataFile* entry) {
  closed_ = true;
  WEIR_RETURN_IF_ERROR(error_);
  WEIR_RETURN_IF_ERROR(file_->Sync());
  WEIR_RETURN_IF_ERROR(file_->Close());
  entry->set_bytes(bytes_);
  entry->set_crc32c(crc32c_);
  return Status();
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenVerified(FileSystem* file_system, const std::string& folder,
                                                                  const DataFile& entry) {
  std::string path = JoinPath(folder, entry.name());
  if (!file_system->Exists(path)) {
    return DataLoss(fmt::format("{}: expected {} bytes, found no file", path, entry.bytes()));
  }
  WEIR_ASSIGN_OR_RETURN(uint64_t size, file_system->FileSize(path));
  if (size != entry.bytes()) {
    return DataLoss(fmt::format("{}: expected {} bytes, found {}", path, entry.bytes(), size));
  }
  auto opened = arrow::io::ReadableFile::Open(path);
  if (!opened.ok()) return DecodingError(path, opened.status());
  std::shared_ptr<arrow::io::ReadableFile> file = *std::move(opened);
  std::vector<uint8_t> chunk(std::min<uint64_t>(size, kVerifyChunkBytes));
  uint32_t crc = 0;
  for (uint64_t at = 0; at < size;) {
    auto got = file->ReadAt(at, chunk.size(), chunk.data());
    if (!got.ok()) return DecodingError(path, got.status());
    if (*got == 0) return DataLoss(fmt::format("{}: expected {} bytes, found {}", path, size, at));
    crc = ExtendCrc32c(crc, chunk.data(), *got);
    at += *got;
  }
  if (crc != entry.crc32c()) {
    return DataLoss(
        fmt::format("{}: expected crc32c {:08x}, found {:08x}: bytes were changed", path, entry.crc32c(), crc));
  }
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<SizedFile>(std::move(file), size));
}

Status DecodingError(const std::string& path, const arrow::Status& status) {
  if (status.IsOutOfMemory()) return ResourceExhausted(fmt::format("reading {}: {}", path, status.message()));
  return DataLoss(fmt::format("reading {}: {}", path, status.message()));
}

}  // namespace weir
