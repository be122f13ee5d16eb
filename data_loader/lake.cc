#include "data_loader/lake.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

namespace weir {
namespace {

bool IsHidden(const std::string& name) { return name.empty() || name[0] == '.' || name[0] == '_'; }

bool HasWildcard(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

bool EndsWith(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

// Appends the files in and below `folder`.
Status ListFolder(const std::string& folder, std::vector<std::string>* paths) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(folder, error);
  for (; !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    std::error_code entry_error;
    if (IsHidden(it->path().filename().string())) {
      it.disable_recursion_pending();
    } else if (!it->is_directory(entry_error)) {
      paths->push_back(it->path().string());
    }
  }
  if (error) return ErrnoStatus(error.value(), folder);
  return Status();
}

// A path without wildcards, or a match of one with: a file, or a folder's files.
Status ListPath(const std::string& path, std::vector<std::string>* paths) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (S_ISDIR(info.st_mode)) return ListFolder(path, paths);
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
    entries->push_back({std::move(file), static_cast<uint64_t>(info.st_size)});
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

DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format) {
  if (format != DataConfig::AUTO) return format;
  return EndsWith(path, ".parquet") || EndsWith(path, ".pq") ? DataConfig::PARQUET : DataConfig::CSV;
}

}  // namespace weir
