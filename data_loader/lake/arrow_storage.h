// ArrowStorage: an object store or HDFS, through one of Arrow's file systems.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/filesystem/type_fwd.h>

#include "data_loader/lake/storage.h"

namespace weir {

// A file is another one when its size is, or the second of its last change: stores list finer times than they answer
// otherwise.
class ArrowStorage : public Storage {
 public:
  // prefix: what Weir's paths have before those of the file system: "s3://" makes "s3://bucket/key" of "bucket/key".
  // advice: follows a PermissionDenied, to say where credentials come from.
  // implied_folders: the file system lists only folders that have an object of their own (gs), so that they must be
  // made out of all that lies below.
  ArrowStorage(std::shared_ptr<arrow::fs::FileSystem> file_system, std::string prefix, std::string advice,
               bool implied_folders = false)
      : file_system_(std::move(file_system)),
        prefix_(std::move(prefix)),
        advice_(std::move(advice)),
        implied_folders_(implied_folders) {}

  Result<StoredFile> Look(const std::string& path) const override;
  Result<std::vector<StoredFile>> List(const std::string& folder) const override;
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const override;
  bool is_remote() const override { return true; }

 private:
  // The path in the file system.
  std::string Inner(const std::string& path) const {
    return path.size() > prefix_.size() ? path.substr(prefix_.size()) : "/";
  }
  Status WithAdvice(const Status& error) const;
  StoredFile Describe(const arrow::fs::FileInfo& info) const;
  Result<arrow::fs::FileInfo> Info(const std::string& path) const;

  const std::shared_ptr<arrow::fs::FileSystem> file_system_;
  const std::string prefix_;
  const std::string advice_;
  const bool implied_folders_;
};

}  // namespace weir
