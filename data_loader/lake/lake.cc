#include "data_loader/lake/lake.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <arrow/io/file.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// Far above any lake's partitions.
constexpr size_t kFolderDepthMax = 64;

bool IsHidden(const std::string& name) { return name.empty() || name[0] == '.' || name[0] == '_'; }

bool HasWildcard(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

bool EndsWith(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

int64_t ModifiedNanos(const struct stat& info) { return info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec; }

// What identifies a folder, whatever the path to it.
struct FolderId {
  dev_t device;
  ino_t inode;
  bool operator==(const FolderId&) const = default;
};

// Appends the files in and below `folder`. Symbolic links are followed, but not back to a folder above: the files would
// have no end. `above`: the folders on the way here.
Status ListFolder(const std::string& folder, FolderId id, std::vector<FolderId>* above,
                  std::vector<std::string>* paths) {
  if (std::find(above->begin(), above->end(), id) != above->end()) {
    return InvalidArgument(fmt::format("{}: a symbolic link leads back to a folder above it", folder));
  }
  if (above->size() >= kFolderDepthMax) {
    return InvalidArgument(fmt::format("{}: expected folders at most {} deep, found more", folder, kFolderDepthMax));
  }
  above->push_back(id);
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (IsHidden(it->path().filename().string())) continue;
    std::string path = it->path().string();
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
    if (S_ISDIR(info.st_mode)) {
      WEIR_RETURN_IF_ERROR(ListFolder(path, {info.st_dev, info.st_ino}, above, paths));
    } else {
      paths->push_back(std::move(path));
    }
  }
  if (error) return ErrnoStatus(error.value(), folder);
  above->pop_back();
  return Status();
}

// A path without wildcards, or a match of one with: a file, or a folder's files.
Status ListPath(const std::string& path, std::vector<std::string>* paths) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (S_ISDIR(info.st_mode)) {
    std::vector<FolderId> above;
    return ListFolder(path, {info.st_dev, info.st_ino}, &above, paths);
  }
  paths->push_back(path);
  return Status();
}

Status ListGlob(const std::string& pattern, std::vector<std::string>* paths) {
  glob_t matches{};
  int outcome = glob(pattern.c_str(), GLOB_ERR, nullptr, &matches);
  Status status;
  if (outcome == 0) {
    for (size_t i = 0; i < matches.gl_pathc && status.ok(); ++i) {
      std::string match = matches.gl_pathv[i];
      if (!IsHidden(std::filesystem::path(match).filename().string())) status = ListPath(match, paths);
    }
  } else if (outcome == GLOB_ABORTED) {
    status = PermissionDenied(fmt::format("{}: a folder on the way cannot be read", pattern));
  } else if (outcome == GLOB_NOSPACE) {
    status = ResourceExhausted(fmt::format("{}: no memory left to match it", pattern));
  }
  globfree(&matches);
  return status;
}

// Appends the files of one uri, sorted.
Status ListUri(const std::string& uri, std::vector<LakeEntry>* entries) {
  std::string path = uri;
  if (path.starts_with("file://")) {
    path = path.substr(7);
  } else if (path.find("://") != std::string::npos) {
    return Unimplemented(
        fmt::format("{}: expected a local path, a folder or a glob; other storage is not supported yet", uri));
  }
  std::vector<std::string> paths;
  // A file whose name holds "*" or "[" is taken as it is.
  std::error_code error;
  bool literal = !HasWildcard(path) || std::filesystem::exists(path, error);
  WEIR_RETURN_IF_ERROR(literal ? ListPath(path, &paths) : ListGlob(path, &paths));
  if (paths.empty()) {
    return NotFound(fmt::format(
        "{}: expected at least one data file, found none (names that begin with '.' or '_' are skipped)", uri));
  }
  std::sort(paths.begin(), paths.end());
  for (std::string& file : paths) {
    struct stat info;
    if (stat(file.c_str(), &info) != 0) return ErrnoStatus(errno, file);
    entries->push_back({std::move(file), static_cast<uint64_t>(info.st_size), ModifiedNanos(info)});
  }
  return Status();
}

}  // namespace

Result<std::vector<LakeEntry>> ListFiles(const SourceConfig& source) {
  if (source.uri_size() == 0) {
    return InvalidArgument(
        "the data source has no uri: expected files, folders or globs, as in data.train.uri=logs/*.parquet");
  }
  std::vector<LakeEntry> entries;
  for (const std::string& uri : source.uri()) WEIR_RETURN_IF_ERROR(ListUri(uri, &entries));
  return entries;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenEntry(const LakeEntry& entry) {
  WEIR_ASSIGN_OR_RETURN(auto file, FromArrow(arrow::io::ReadableFile::Open(entry.path, DecodeMemory()), entry.path));
  struct stat info;
  if (fstat(file->file_descriptor(), &info) != 0) return ErrnoStatus(errno, entry.path);
  if (static_cast<uint64_t>(info.st_size) != entry.bytes || ModifiedNanos(info) != entry.modified_ns) {
    return DataLoss(
        fmt::format("{}: the file was changed while it was read: expected the one of {} bytes that was there at the "
                    "start, found {} "
                    "bytes, changed since; start the run again, with files that stay as they are",
                    entry.path, entry.bytes, info.st_size));
  }
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::move(file));
}

DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format) {
  if (format != DataConfig::AUTO) return format;
  return EndsWith(path, ".parquet") || EndsWith(path, ".pq") ? DataConfig::PARQUET : DataConfig::CSV;
}

}  // namespace weir
