#include "data_loader/formats/unpacked_entry.h"

#include <string_view>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {

Result<UnpackedEntry> UnpackedEntry::Detect(const LakeEntry& entry) {
  constexpr std::string_view kGzipStart("\x1f\x8b\x08", 3);
  WEIR_ASSIGN_OR_RETURN(auto file, OpenEntry(entry));
  WEIR_ASSIGN_OR_RETURN(auto start, FromArrow(file->ReadAt(0, static_cast<int64_t>(kGzipStart.size())), entry.path));
  UnpackedEntry detected;
  if (std::string_view(*start) == kGzipStart) {
    detected.gzip_ = std::make_shared<GzipIndex>();
  } else if (entry.path.ends_with(".gz")) {
    return InvalidArgument(
        fmt::format("{}: expected gzip, as its ending says, found other bytes: rename it, or pack it", entry.path));
  }
  return detected;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> UnpackedEntry::Open(const LakeEntry& entry) const {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenEntry(entry));
  if (gzip_ == nullptr) return file;
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<GzipFile>(std::move(file), gzip_));
}

}  // namespace weir
