#include "data_loader/lake/arrow_storage.h"

#include <chrono>
#include <set>

#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "data_loader/lake/remote_status.h"
#include "data_loader/lake/retry.h"

namespace weir {

Status ArrowStorage::WithAdvice(const Status& error) const {
  if (error.code() != StatusCode::kPermissionDenied || advice_.empty()) return error;
  return Status(error.code(), fmt::format("{}: {}", error.message(), advice_));
}

StoredFile ArrowStorage::Describe(const arrow::fs::FileInfo& info) const {
  StoredFile file;
  file.path = prefix_ + info.path();
  while (file.path.ends_with('/')) file.path.pop_back();  // of folders in gs
  file.is_folder = info.type() == arrow::fs::FileType::Directory;
  if (!file.is_folder && info.size() > 0) file.bytes = static_cast<uint64_t>(info.size());
  if (info.mtime() != arrow::fs::kNoTime) file.modified_ns = info.mtime().time_since_epoch().count();
  return file;
}

Result<arrow::fs::FileInfo> ArrowStorage::Info(const std::string& path) const {
  auto info = FromRemote(file_system_->GetFileInfo(Inner(path)), path);
  if (!info.ok()) return WithAdvice(info.status());
  if (info->type() == arrow::fs::FileType::NotFound) {
    return NotFound(fmt::format("{}: expected a file or folder, found nothing of that name", path));
  }
  return info;
}

Result<StoredFile> ArrowStorage::Look(const std::string& path) const {
  const Result<arrow::fs::FileInfo> info = Info(path);
  if (info.ok()) return Describe(*info);
  if (info.status().code() != StatusCode::kNotFound) return info.status();
  // Arrow takes a folder in gs for missing when it fails to list it.
  const Result<std::vector<StoredFile>> listed = List(path);
  if (MayPass(listed.status())) return listed.status();
  if (!listed.ok() || listed->empty()) return info.status();
  StoredFile folder;
  folder.path = path;
  folder.is_folder = true;
  return folder;
}

Result<std::vector<StoredFile>> ArrowStorage::List(const std::string& folder) const {
  arrow::fs::FileSelector selector;
  selector.base_dir = Inner(folder);
  selector.recursive = implied_folders_;
  const auto infos = FromRemote(file_system_->GetFileInfo(selector), folder);
  if (!infos.ok()) return WithAdvice(infos.status());
  std::vector<StoredFile> files;
  std::set<std::string> folders;
  for (const arrow::fs::FileInfo& info : *infos) {
    StoredFile file = Describe(info);
    if (const size_t slash = file.path.find('/', folder.size() + 1); slash != std::string::npos) {
      StoredFile above;
      above.path = file.path.substr(0, slash);
      above.is_folder = true;
      file = std::move(above);
    }
    if (!file.is_folder || folders.insert(file.path).second) files.push_back(std::move(file));
  }
  return files;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> ArrowStorage::Open(const StoredFile& file) const {
  WEIR_ASSIGN_OR_RETURN(const arrow::fs::FileInfo info, Info(file.path));
  const StoredFile found = Describe(info);
  if (found.is_folder || found.bytes != file.bytes) {
    return ChangedFile(file, fmt::format("found {} bytes", found.bytes));
  }
  if (found.modified_ns / kNanosPerSecond != file.modified_ns / kNanosPerSecond) {
    return ChangedFile(file, "found one of the same size that was written since");
  }
  auto opened = FromRemote(file_system_->OpenInputFile(info), file.path);
  if (!opened.ok()) return WithAdvice(opened.status());
  return opened;
}

}  // namespace weir
