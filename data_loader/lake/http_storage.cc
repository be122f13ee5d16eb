#include "data_loader/lake/http_storage.h"

#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/positioned_file.h"

namespace weir {
namespace {

Status CheckSame(const StoredFile& file, const HttpRange& range) {
  if (static_cast<uint64_t>(range.file_bytes) != file.bytes) {
    return ChangedFile(file, fmt::format("found {} bytes", range.file_bytes));
  }
  if (range.version != file.version || range.modified_ns != file.modified_ns) {
    return ChangedFile(file, "found one of the same size that was written since (another ETag or Last-Modified)");
  }
  return Status();
}

// Reads may come from any thread; what stands at a position of its own is for one.
class HttpFile : public PositionedFile {
 public:
  HttpFile(std::shared_ptr<HttpClient> client, std::string url, StoredFile file)
      : client_(std::move(client)), url_(std::move(url)), file_(std::move(file)) {}

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> GetSize() override { return static_cast<int64_t>(file_.bytes); }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    if (position < 0) return arrow::Status::Invalid(file_.path, ": a position below 0");
    const int64_t wanted = std::min(nbytes, static_cast<int64_t>(file_.bytes) - position);
    if (wanted <= 0) return 0;
    const std::span<uint8_t> bytes(static_cast<uint8_t*>(out), static_cast<size_t>(wanted));
    const auto range = client_->Get(url_, file_.path, position, bytes);
    if (!range.ok()) return ToArrow(range.status());
    if (const Status same = CheckSame(file_, *range); !same.ok()) return ToArrow(same);
    return range->bytes;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override {
    const int64_t left = std::max(static_cast<int64_t>(file_.bytes) - std::max(position, int64_t{0}), int64_t{0});
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(std::clamp(nbytes, int64_t{0}, left)));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position, nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  const std::shared_ptr<HttpClient> client_;
  const std::string url_;
  const StoredFile file_;
  bool closed_ = false;
};

}  // namespace

HttpStorage::HttpStorage(const LakeUri& uri)
    : url_(fmt::format("{}://{}{}{}{}{}{}", uri.scheme, uri.user, uri.user.empty() ? "" : "@", uri.authority, uri.path,
                       uri.query.empty() ? "" : "?", uri.query)),
      shown_(uri.Shown()),
      client_(std::make_shared<HttpClient>()) {}

Result<StoredFile> HttpStorage::Look(const std::string& path) const {
  if (path != shown_) return NotFound(fmt::format("{}: expected {}, the only file of this uri", path, shown_));
  uint8_t first = 0;
  WEIR_ASSIGN_OR_RETURN(const HttpRange range, client_->Get(url_, shown_, 0, std::span<uint8_t>(&first, 1)));
  StoredFile file;
  file.path = shown_;
  file.bytes = static_cast<uint64_t>(range.file_bytes);
  file.modified_ns = range.modified_ns;
  file.version = range.version;
  return file;
}

Result<std::vector<StoredFile>> HttpStorage::List(const std::string& folder) const {
  return Unimplemented(fmt::format("{}: web servers have no folders that can be listed: name each file", folder));
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> HttpStorage::Open(const StoredFile& file) const {
  // Whether it is still the file that was listed each read sees for itself.
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<HttpFile>(client_, url_, file));
}

}  // namespace weir
