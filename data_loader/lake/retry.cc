#include "data_loader/lake/retry.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include "base/random.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"
#include "data_loader/lake/positioned_file.h"
#include "data_loader/lake/remote_status.h"

namespace weir {
namespace {

double Seconds(int64_t ns) { return static_cast<double>(ns) / kNanosPerSecond; }

const Status& StatusOf(const Status& status) { return status; }
template <typename T>
const Status& StatusOf(const Result<T>& result) {
  return result.status();
}

// call() until it is OK, or not to be tried again.
template <typename Call>
auto Try(const RetryPolicy& policy, std::string what, const Call& call) -> decltype(call()) {
  Attempts attempts(policy, std::move(what));
  for (;;) {
    auto outcome = call();
    Status error = StatusOf(outcome);
    if (error.ok()) return outcome;
    if (!attempts.Again(&error)) return error;
  }
}

class RetryingFile : public PositionedFile {
 public:
  RetryingFile(std::shared_ptr<const Storage> storage, std::shared_ptr<arrow::io::RandomAccessFile> file,
               StoredFile what, const RetryPolicy& policy)
      : storage_(std::move(storage)), what_(std::move(what)), policy_(policy), file_(std::move(file)) {}

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> GetSize() override { return static_cast<int64_t>(what_.bytes); }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    if (position < 0 || nbytes < 0) return arrow::Status::Invalid(what_.path, ": a position or length below 0");
    const int64_t wanted = std::clamp(static_cast<int64_t>(what_.bytes) - position, int64_t{0}, nbytes);
    if (wanted == 0) return 0;
    const std::string range = fmt::format("reading bytes {} to {}", position, position + wanted - 1);
    const Status status = Try(policy_, range, [&]() -> Status {
      WEIR_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::io::RandomAccessFile> file, File());
      const Result<int64_t> read = FromRemote(file->ReadAt(position, wanted, out), what_.path);
      if (read.ok() && *read == wanted) return Status();
      Drop(file);
      if (read.ok()) return Unavailable(fmt::format("{}: expected {} bytes, got {}", what_.path, wanted, *read));
      return read.status();
    });
    if (!status.ok()) return ToArrow(status);
    return wanted;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override {
    // A length from the file itself must not take memory that the file cannot fill.
    const int64_t left = std::max(static_cast<int64_t>(what_.bytes) - std::max(position, int64_t{0}), int64_t{0});
    ARROW_ASSIGN_OR_RAISE(auto buffer,
                          arrow::AllocateResizableBuffer(std::min(std::max(nbytes, int64_t{0}), left), DecodeMemory()));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position, nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  // The file, opened anew after a failed read: those of gs are of no use then.
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> File() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (file_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(file_, storage_->Open(what_));
    }
    return file_;
  }
  void Drop(const std::shared_ptr<arrow::io::RandomAccessFile>& failed) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (file_ == failed) file_.reset();
  }

  const std::shared_ptr<const Storage> storage_;
  const StoredFile what_;
  const RetryPolicy policy_;
  std::mutex mutex_;
  std::shared_ptr<arrow::io::RandomAccessFile> file_;  // guarded by mutex_
  bool closed_ = false;
};

class RetryingStorage : public Storage {
 public:
  RetryingStorage(std::shared_ptr<const Storage> storage, const RetryPolicy& policy)
      : storage_(std::move(storage)), policy_(policy) {}

  Result<StoredFile> Look(const std::string& path) const override {
    return Try(policy_, "looking it up", [&] { return storage_->Look(path); });
  }
  Result<std::vector<StoredFile>> List(const std::string& folder) const override {
    return Try(policy_, "listing it", [&] { return storage_->List(folder); });
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile& file) const override {
    WEIR_ASSIGN_OR_RETURN(auto opened, Try(policy_, "opening it", [&] { return storage_->Open(file); }));
    return std::shared_ptr<arrow::io::RandomAccessFile>(
        std::make_shared<RetryingFile>(storage_, std::move(opened), file, policy_));
  }
  bool is_remote() const override { return storage_->is_remote(); }

 private:
  const std::shared_ptr<const Storage> storage_;
  const RetryPolicy policy_;
};

}  // namespace

bool MayPass(const Status& error) {
  return error.code() == StatusCode::kUnavailable || error.code() == StatusCode::kDeadlineExceeded;
}

bool Attempts::Again(Status* error) {
  if (!MayPass(*error)) return false;
  const int64_t now_ns = policy_.clock->SteadyNanos();
  if (++failures_ == 1) deadline_ns_ = now_ns + policy_.retry_ns;
  // 2^20 times the first wait is above any sensible limit.
  const int64_t longest_ns =
      std::min(policy_.first_wait_ns << std::min<int64_t>(failures_ - 1, 20), policy_.wait_ns_max);
  const uint64_t bits = SplitMix64(static_cast<uint64_t>(policy_.clock->UnixNanos()) + Fmix64(now_ns));
  const int64_t wait_ns = longest_ns / 2 + static_cast<int64_t>(BoundedIndex(bits, longest_ns / 2 + 1));
  if (now_ns + wait_ns > deadline_ns_) {
    *error = Unavailable(fmt::format("{} ({} tried {} times; data.retry_s gives it {:.3g} s)", error->message(), what_,
                                     failures_, Seconds(policy_.retry_ns)));
    return false;
  }
  LOG(WARNING) << error->message() << " (" << what_ << ", try " << failures_ << "; again in "
               << fmt::format("{:.2f}", Seconds(wait_ns)) << " s)";
  policy_.clock->SleepNanos(wait_ns);
  return true;
}

std::shared_ptr<const Storage> WithRetries(std::shared_ptr<const Storage> storage, const RetryPolicy& policy) {
  return std::make_shared<RetryingStorage>(std::move(storage), policy);
}

}  // namespace weir
