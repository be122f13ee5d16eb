#include "data_loader/lake/walk.h"

#include <fnmatch.h>

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir {
namespace {

// Far above any lake's partitions.
constexpr size_t kFolderDepthMax = 64;

std::string_view LastName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool HasWildcard(std::string_view name) { return name.find_first_of("*?[") != std::string_view::npos; }

class Walk {
 public:
  Walk(const Storage& storage, size_t scheme_bytes, const PartitionFilters& filters)
      : storage_(storage), scheme_bytes_(scheme_bytes), filters_(filters) {}

  // A path without wildcards.
  Status AddNamed(const std::string& path) {
    WEIR_ASSIGN_OR_RETURN(const StoredFile file, storage_.Look(path));
    return Add(file);
  }

  // What `pattern` matches below `folder` (which ends with a slash, or is empty), name by name.
  Status AddMatches(const std::string& folder, std::string_view pattern) {
    const size_t slash = pattern.find('/');
    const std::string name(pattern.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    const std::string_view rest = last ? std::string_view() : pattern.substr(slash + 1);
    if (!HasWildcard(name)) {
      if (!last) return AddMatches(folder + name + "/", rest);
      const Result<StoredFile> file = storage_.Look(folder + name);
      if (file.status().code() == StatusCode::kNotFound) return Status();
      return file.ok() ? Add(*file) : file.status();
    }
    if (!MayHold(folder)) return Status();
    // What stands on the way of the pattern may be missing here and there.
    const Result<std::vector<StoredFile>> listed = storage_.List(FolderItself(folder));
    if (listed.status().code() == StatusCode::kNotFound) return Status();
    if (!listed.ok()) return listed.status();
    for (StoredFile file : *listed) {
      const std::string found(LastName(file.path));
      if (IsHidden(found) || fnmatch(name.c_str(), found.c_str(), FNM_PERIOD) != 0) continue;
      file.path = folder + found;
      if (last) WEIR_RETURN_IF_ERROR(Add(file));
      if (!last && file.is_folder) WEIR_RETURN_IF_ERROR(AddMatches(file.path + "/", rest));
    }
    return Status();
  }

  std::vector<StoredFile> TakeFiles() { return std::move(files_); }
  bool pruned() const { return pruned_; }

 private:
  // The path of "logs/", which as the start of paths has a slash at its end; that of "" is the working folder's.
  static std::string FolderItself(const std::string& folder) {
    if (folder.empty()) return ".";
    return folder.size() == 1 ? folder : folder.substr(0, folder.size() - 1);
  }

  // folder: with a slash at its end.
  bool MayHold(const std::string& folder) {
    if (filters_.filters().empty() || folder.size() <= scheme_bytes_) return true;
    const bool holds = filters_.MayHold(PartitionsOf(std::string_view(folder).substr(scheme_bytes_)));
    if (!holds) pruned_ = true;
    return holds;
  }

  Status Add(const StoredFile& file) {
    if (file.is_folder) return AddFolder(file);
    if (!filters_.filters().empty()) {
      const auto partitions = PartitionsOf(std::string_view(file.path).substr(scheme_bytes_));
      WEIR_RETURN_IF_ERROR(filters_.CheckColumns(file.path, partitions));
      if (!filters_.MayHold(partitions)) {
        pruned_ = true;
        return Status();
      }
    }
    files_.push_back(file);
    return Status();
  }

  // The files in and below a folder. Symbolic links are followed, but not back to a folder above: the files would have
  // no end.
  Status AddFolder(const StoredFile& folder) {
    if (!MayHold(folder.path + "/")) return Status();
    if (!folder.folder_id.empty() && std::find(above_.begin(), above_.end(), folder.folder_id) != above_.end()) {
      return InvalidArgument(fmt::format("{}: a symbolic link leads back to a folder above it", folder.path));
    }
    if (above_.size() >= kFolderDepthMax) {
      return InvalidArgument(
          fmt::format("{}: expected folders at most {} deep, found more", folder.path, kFolderDepthMax));
    }
    above_.push_back(folder.folder_id);
    WEIR_ASSIGN_OR_RETURN(const std::vector<StoredFile> listed, storage_.List(folder.path));
    for (const StoredFile& file : listed) {
      if (!IsHidden(LastName(file.path))) WEIR_RETURN_IF_ERROR(Add(file));
    }
    above_.pop_back();
    return Status();
  }

  const Storage& storage_;
  const size_t scheme_bytes_;
  const PartitionFilters& filters_;
  std::vector<std::string> above_;  // the ids of the folders on the way to the one being listed
  std::vector<StoredFile> files_;
  bool pruned_ = false;  // a filter left something out
};

std::string FilterTexts(const PartitionFilters& filters) {
  std::vector<std::string> texts;
  for (const PartitionFilter& filter : filters.filters()) texts.push_back("\"" + filter.text + "\"");
  return fmt::format("{}", fmt::join(texts, " and "));
}

}  // namespace

Result<std::vector<StoredFile>> FindFiles(const Storage& storage, const std::string& path, size_t scheme_bytes,
                                          const PartitionFilters& filters) {
  Walk walk(storage, scheme_bytes, filters);
  const size_t wildcard = path.find_first_of("*?[", scheme_bytes);
  // A local file whose name holds "*" or "[" is taken as it is.
  if (wildcard == std::string::npos || (!storage.is_remote() && storage.Look(path).ok())) {
    WEIR_RETURN_IF_ERROR(walk.AddNamed(path));
  } else {
    const size_t slash = path.rfind('/', wildcard);
    const size_t prefix = slash == std::string::npos ? 0 : slash + 1;
    WEIR_RETURN_IF_ERROR(walk.AddMatches(path.substr(0, prefix), std::string_view(path).substr(prefix)));
  }
  std::vector<StoredFile> files = walk.TakeFiles();
  if (files.empty() && walk.pruned()) {
    return NotFound(fmt::format("{}: expected at least one data file in partitions with {}, found none", path,
                                FilterTexts(filters)));
  }
  if (files.empty()) {
    return NotFound(fmt::format(
        "{}: expected at least one data file, found none (names that begin with '.' or '_' are skipped)", path));
  }
  std::sort(files.begin(), files.end(), [](const StoredFile& a, const StoredFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace weir
