#include "base/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

namespace weir {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class LocalWritableFile : public WritableFile {
 public:
  LocalWritableFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Status Append(std::span<const uint8_t> data) override {
    while (!data.empty()) {
      ssize_t written = ::write(fd_.get(), data.data(), data.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, "writing " + path_);
      }
      data = data.subspan(written);
    }
    return Status();
  }

  Status Sync() override {
    if (::fsync(fd_.get()) != 0) return ErrnoStatus(errno, "syncing " + path_);
    return Status();
  }

  Status Close() override {
    if (::close(fd_.Release()) != 0) return ErrnoStatus(errno, "closing " + path_);
    return Status();
  }

 private:
  FileDescriptor fd_;
  const std::string path_;
};

bool IsFolder(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// 0, or the errno of a rename that takes the place of an empty folder at most.
int RenameFolder(const std::string& from, const std::string& to) {
  struct stat info;
  if (::lstat(to.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) return EEXIST;
    std::error_code error;
    const bool empty = std::filesystem::is_empty(to, error);
    if (error) return error.value();
    if (!empty) return EEXIST;
  } else if (errno != ENOENT) {
    return errno;
  }
  if (::rename(from.c_str(), to.c_str()) == 0) return 0;
  return errno == ENOTEMPTY || errno == ENOTDIR ? EEXIST : errno;
}

// link() refuses to replace, which rename() does not.
int RenameFile(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  return ::unlink(from.c_str()) == 0 ? 0 : errno;
}

Status RenameStatus(int error_number, const std::string& from, const std::string& to) {
  if (error_number == 0) return Status();
  return ErrnoStatus(error_number, fmt::format("renaming {} to {}", from, to));
}

class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return ErrnoStatus(errno, "creating " + path);
    return std::unique_ptr<WritableFile>(new LocalWritableFile(fd, path));
  }

  Result<std::string> ReadAll(const std::string& path, uint64_t bytes_max) override {
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return ErrnoStatus(errno, "opening " + path);
    std::string data;
    char chunk[1 << 16];
    while (true) {
      ssize_t got = ::read(fd.get(), chunk, sizeof(chunk));
      if (got < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, "reading " + path);
      }
      if (got == 0) return data;
      if (data.size() + got > bytes_max) {
        return ResourceExhausted(fmt::format("reading {}: expected at most {} bytes, found more", path, bytes_max));
      }
      data.append(chunk, got);
    }
  }

  Result<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
    return static_cast<uint64_t>(info.st_size);
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
  }

  Result<std::vector<std::string>> List(const std::string& folder) override {
    std::error_code error;
    std::vector<std::string> names;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return ErrnoStatus(error.value(), "listing " + folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateFolders(const std::string& folder) override {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return ErrnoStatus(error.value(), "creating folder " + folder);
    return Status();
  }

  Status Rename(const std::string& from, const std::string& to) override {
    // rename() alone would replace a file in silence.
    int error_number = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
    if (error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP) return RenameInSteps(from, to);
    if (error_number == EEXIST && IsFolder(from) && IsFolder(to)) error_number = RenameFolder(from, to);
    return RenameStatus(error_number, from, to);
  }

  Status RemoveAll(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return ErrnoStatus(error.value(), "removing " + path);
    return Status();
  }

  Status SyncFolder(const std::string& folder) override {
    FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return ErrnoStatus(errno, "opening folder " + folder);
    // EINVAL: a file system without fsync of folders (some of FUSE's); its entries need none.
    if (::fsync(fd.get()) != 0 && errno != EINVAL) return ErrnoStatus(errno, "syncing folder " + folder);
    return Status();
  }
};

}  // namespace

Status RenameInSteps(const std::string& from, const std::string& to) {
  return RenameStatus(IsFolder(from) ? RenameFolder(from, to) : RenameFile(from, to), from, to);
}

FileSystem& LocalFileSystem() {
  static PosixFileSystem file_system;
  return file_system;
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

}  // namespace weir
