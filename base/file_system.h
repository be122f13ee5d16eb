// Files as a seam: checkpoints, exports and metrics write through it, so that tests can make a disk full, slow or torn.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weir {

// A file being written, front to back. One thread.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes; errors are lost, so Close() first
  virtual Status Append(std::span<const uint8_t> data) = 0;
  // Waits until all that was appended is on the disk.
  virtual Status Sync() = 0;
  virtual Status Close() = 0;
};

// Thread-safe. Paths are local. Errors name the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Creates or truncates.
  virtual Result<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // The whole file; ResourceExhausted when it is larger than bytes_max.
  virtual Result<std::string> ReadAll(const std::string& path, uint64_t bytes_max) = 0;
  virtual Result<uint64_t> FileSize(const std::string& path) = 0;
  // False when nothing is there or it cannot be reached.
  virtual bool Exists(const std::string& path) = 0;
  // The names in a folder, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& folder) = 0;
  // With missing parents; no error when it exists.
  virtual Status CreateFolders(const std::string& folder) = 0;
  // Atomic within one file system; AlreadyExists when `to` exists and is not an empty folder.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // A file, or a folder with all in it; no error when nothing is there.
  virtual Status RemoveAll(const std::string& path) = 0;
  // Makes the entries of a folder (creations, renames) durable.
  virtual Status SyncFolder(const std::string& folder) = 0;
};

// FileSystem::Rename of paths of this machine where the file system has no rename that refuses to replace (NFS, FUSE).
// Another process that makes `to` in the same moment may lose an empty folder, nothing else. A crash in between may
// leave a file under both names.
Status RenameInSteps(const std::string& from, const std::string& to);

// The machine's own. Lives for the whole process.
FileSystem& LocalFileSystem();

// "a" + "b" -> "a/b"; an absolute b stays as it is.
std::string JoinPath(const std::string& folder, const std::string& name);

}  // namespace weir
