// A FileSystem that fails by a schedule: a disk that fills up, or a process that dies, at the k-th change of the disk.
// Syncs are counted and logged, never done: they take 10 ms each, and what a test sees does not depend on them.
#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"

namespace weir {

// One thread. Counts every call that changes the disk (create, append, sync, close, folder, rename, remove, folder
// sync).
class FaultyFileSystem : public FileSystem {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  explicit FaultyFileSystem(FileSystem* base) : base_(base) {}

  int64_t calls() const { return calls_; }
  // What was called, in order: "creating PATH", "writing PATH", "syncing PATH", "renaming A to B", ...
  const std::vector<std::string>& log() const { return log_; }

  // The call after `calls` more finds no space; those after it work. Removing and closing never do.
  void FillAtCall(int64_t calls) { full_at_ = calls_ + calls; }
  // Appends find no space once this many more bytes are written.
  void FillAfterBytes(int64_t bytes) { bytes_left_ = bytes; }
  // The call after `calls` more, and all later ones, do nothing and fail; an append leaves half of its bytes.
  void DieAtCall(int64_t calls) { dead_at_ = calls_ + calls; }

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    WEIR_RETURN_IF_ERROR(Count("creating " + path));
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_->Create(path));
    return std::unique_ptr<WritableFile>(new File(this, std::move(file), path));
  }
  Result<std::string> ReadAll(const std::string& path, uint64_t bytes_max) override {
    return base_->ReadAll(path, bytes_max);
  }
  Result<uint64_t> FileSize(const std::string& path) override { return base_->FileSize(path); }
  bool Exists(const std::string& path) override { return base_->Exists(path); }
  Result<std::vector<std::string>> List(const std::string& folder) override { return base_->List(folder); }
  Status CreateFolders(const std::string& folder) override {
    WEIR_RETURN_IF_ERROR(Count("creating folder " + folder));
    return base_->CreateFolders(folder);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    WEIR_RETURN_IF_ERROR(Count("renaming " + from + " to " + to));
    return base_->Rename(from, to);
  }
  Status RemoveAll(const std::string& path) override {
    WEIR_RETURN_IF_ERROR(Count("removing " + path, /*takes_space=*/false));
    return base_->RemoveAll(path);
  }
  Status SyncFolder(const std::string& folder) override { return Count("syncing folder " + folder); }

 private:
  class File : public WritableFile {
   public:
    File(FaultyFileSystem* owner, std::unique_ptr<WritableFile> file, std::string path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}
    Status Append(std::span<const uint8_t> data) override {
      const bool alive = owner_->calls_ < owner_->dead_at_;
      Status status = owner_->Count("writing " + path_);
      if (!status.ok()) {
        if (alive) file_->Append(data.first(data.size() / 2)).IgnoreError();
        return status;
      }
      const int64_t size = static_cast<int64_t>(data.size());
      if (size > owner_->bytes_left_) {
        WEIR_RETURN_IF_ERROR(file_->Append(data.first(owner_->bytes_left_)));
        owner_->bytes_left_ = 0;
        return ErrnoStatus(ENOSPC, "writing " + path_);
      }
      if (owner_->bytes_left_ != kNever) owner_->bytes_left_ -= size;
      return file_->Append(data);
    }
    Status Sync() override { return owner_->Count("syncing " + path_); }
    Status Close() override {
      WEIR_RETURN_IF_ERROR(owner_->Count("closing " + path_, /*takes_space=*/false));
      return file_->Close();
    }

   private:
    FaultyFileSystem* const owner_;
    const std::unique_ptr<WritableFile> file_;
    const std::string path_;
  };

  Status Count(const std::string& what, bool takes_space = true) {
    const int64_t call = calls_++;
    log_.push_back(what);
    if (call >= dead_at_) return Internal(what + ": the process is dead");
    if (takes_space && call == full_at_) return ErrnoStatus(ENOSPC, what);
    return Status();
  }

  FileSystem* const base_;
  int64_t calls_ = 0;
  std::vector<std::string> log_;
  int64_t full_at_ = kNever;
  int64_t dead_at_ = kNever;
  int64_t bytes_left_ = kNever;
};

}  // namespace weir
