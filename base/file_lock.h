// FileLock: keeps two processes of one machine (or of a shared file system that knows flock) from using one folder.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace weir {

// Held while it lives; the kernel lets go of it when the process dies, however that comes.
class FileLock {
 public:
  // Makes the file if need be. FailedPrecondition when another process holds it.
  static Result<std::unique_ptr<FileLock>> Acquire(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace weir
