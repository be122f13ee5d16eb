#include "data_loader/lake/local_storage.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <arrow/io/file.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

int64_t ModifiedNanos(const struct stat& info) { return info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec; }

}  // namespace

Result<StoredFile> LocalStorage::Look(const std::string& path) const {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  StoredFile file;
  file.path = path;
  file.modified_ns = ModifiedNanos(info);
  file.is_folder = S_ISDIR(info.st_mode);
  if (file.is_folder) {
    file.folder_id = fmt::format("{}:{}", info.st_dev, info.st_ino);
  } else {
    file.bytes = static_cast<uint64_t>(info.st_size);
  }
  return file;
}

Result<std::vector<StoredFile>> LocalStorage::List(const std::string& folder) const {
  std::vector<StoredFile> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    Result<StoredFile> file = Look(path);
    if (file.ok()) {
      files.push_back(std::move(file).value());
      continue;
    }
    // What is hidden is nobody's data, and what went since the folder was read is not there; but a link that leads
    // nowhere should.
    const bool vanished = !std::filesystem::exists(it->symlink_status()) || IsHidden(it->path().filename().string());
    if (!vanished)
      return file.status().code() == StatusCode::kNotFound
                 ? FailedPrecondition(fmt::format("{}: the link leads nowhere", path))
                 : file.status();
  }
  if (error) return ErrnoStatus(error.value(), folder);
  return files;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> LocalStorage::Open(const StoredFile& file) const {
  WEIR_ASSIGN_OR_RETURN(auto opened, FromArrow(arrow::io::ReadableFile::Open(file.path, DecodeMemory()), file.path));
  struct stat info;
  if (fstat(opened->file_descriptor(), &info) != 0) return ErrnoStatus(errno, file.path);
  if (static_cast<uint64_t>(info.st_size) != file.bytes || ModifiedNanos(info) != file.modified_ns) {
    return ChangedFile(file, fmt::format("found {} bytes, changed since", info.st_size));
  }
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::move(opened));
}

}  // namespace weir
