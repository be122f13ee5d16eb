#include "data_loader/formats/text_lines.h"

#include <cstring>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr int64_t kBlockBytes = 1 << 20;

}  // namespace

TextLines::TextLines(std::string path, std::shared_ptr<arrow::io::RandomAccessFile> file,
                     std::shared_ptr<arrow::io::InputStream> text)
    : path_(std::move(path)), file_(std::move(file)), text_(std::move(text)) {}

TextLines::~TextLines() = default;

Result<std::unique_ptr<TextLines>> TextLines::Open(const LakeEntry& entry) {
  const std::string& path = entry.path;
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::RandomAccessFile> file, OpenEntry(entry));
  std::shared_ptr<arrow::io::InputStream> text = file;
  if (path.ends_with(".gz")) {
    WEIR_ASSIGN_OR_RETURN(auto codec, FromArrow(arrow::util::Codec::Create(arrow::Compression::GZIP), path));
    // The stream keeps what it needs of the codec.
    WEIR_ASSIGN_OR_RETURN(text, FromArrow(arrow::io::CompressedInputStream::Make(codec.get(), file), path));
  }
  return std::unique_ptr<TextLines>(new TextLines(path, std::move(file), std::move(text)));
}

int64_t TextLines::bytes_read() const { return file_->Tell().ValueOr(0); }

Result<bool> TextLines::ReadMore() {
  held_.erase(0, at_);
  searched_ -= at_;
  at_ = 0;
  const size_t before = held_.size();
  held_.resize(before + kBlockBytes);
  auto read = FromArrow(text_->Read(kBlockBytes, held_.data() + before), path_);
  held_.resize(before + (read.ok() ? static_cast<size_t>(*read) : 0));
  if (!read.ok()) return read.status();
  return *read > 0;
}

Result<bool> TextLines::Next(std::string_view* line) {
  while (true) {
    const void* end = std::memchr(held_.data() + searched_, '\n', held_.size() - searched_);
    if (end != nullptr) {
      const size_t size = static_cast<const char*>(end) - held_.data() - at_;
      *line = std::string_view(held_).substr(at_, size);
      at_ += size + 1;
      searched_ = at_;
      ++line_number_;
      return true;
    }
    searched_ = held_.size();
    if (static_cast<int64_t>(held_.size() - at_) > kLineBytesMax) {
      return InvalidArgument(fmt::format("{}: line {}: expected at most {} bytes, found more: is this text?", path_,
                                         line_number_ + 1, kLineBytesMax));
    }
    WEIR_ASSIGN_OR_RETURN(const bool more, ReadMore());
    if (more) continue;
    if (at_ == held_.size()) return false;
    *line = std::string_view(held_).substr(at_);
    at_ = searched_ = held_.size();
    ++line_number_;
    return true;
  }
}

}  // namespace weir
