#include "trainer/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "trainer/agreement.h"

namespace weir {
namespace {

constexpr std::string_view kPrefix = "from-";

// Of the process that begins with step `first` as worker `rank`.
std::string FileName(int64_t first, int rank) { return fmt::format("{}{}-worker-{}.txt", kPrefix, first, rank); }

// A line has one id, whatever it holds.
void AppendEscaped(std::string_view id, std::string* out) {
  for (const char c : id) {
    switch (c) {
      case '\\':
        *out += "\\\\";
        break;
      case '\t':
        *out += "\\t";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      default:
        *out += c;
    }
  }
}

// To its first `bytes` bytes, durably.
Status Truncate(const std::string& path, uint64_t bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, "opening " + path);
  const bool cut = ::ftruncate(file, static_cast<off_t>(bytes)) == 0 && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  return cut ? Status() : ErrnoStatus(error, "cutting " + path);
}

// Rank 0's part of Open.
Status CutBack(FileSystem* file_system, const std::string& folder, const TrainingState& training) {
  std::map<std::string, uint64_t> committed;
  for (const LedgerFile& file : training.ledger()) {
    if (!file.name().starts_with(kPrefix) || file.name().find('/') != std::string::npos) {
      return DataLoss(fmt::format("expected the name of a ledger file in the manifest, found '{}'", file.name()));
    }
    committed[file.name()] = file.bytes();
  }
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(folder));
  for (const auto& [name, bytes] : committed) {
    const std::string path = JoinPath(folder, name);
    WEIR_ASSIGN_OR_RETURN(const uint64_t found, file_system->Exists(path) ? file_system->FileSize(path) : 0);
    if (found < bytes) {
      return DataLoss(
          fmt::format("{}: expected at least the {} bytes of the commit, found {}: give the file back, or "
                      "another output",
                      path, bytes, found));
    }
    if (found > bytes) WEIR_RETURN_IF_ERROR(Truncate(path, bytes));
  }
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system->List(folder));
  for (const std::string& name : names) {
    // Files of others are left alone.
    if (!name.starts_with(kPrefix) || committed.contains(name)) continue;
    WEIR_RETURN_IF_ERROR(file_system->RemoveAll(JoinPath(folder, name)));
  }
  return file_system->SyncFolder(folder);
}

}  // namespace

Ledger::Ledger(const Worker& worker, FileSystem* file_system, std::string folder, int64_t step)
    : worker_(worker),
      file_system_(file_system),
      folder_(std::move(folder)),
      name_(FileName(step + 1, worker.collective->rank())) {}

Result<std::unique_ptr<Ledger>> Ledger::Open(const Worker& worker, FileSystem* file_system, int64_t step,
                                             const TrainingState& training) {
  if (!worker.job->data().has_ledger()) return std::unique_ptr<Ledger>();
  std::unique_ptr<Ledger> made(new Ledger(worker, file_system, JoinPath(worker.job->output(), "ledger"), step));
  made->old_ = training.ledger();
  Status cut;
  if (worker.collective->rank() == 0) cut = CutBack(file_system, made->folder_, training);
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker.collective, cut.Wrap("cutting the ledger back")));
  return made;
}

Status Ledger::Append(int64_t step, const StepBatch& trained) {
  const Batch& batch = trained.batch;
  CHECK_EQ(batch.ids.size(), batch.num_samples) << "samples came without their ids";
  std::string block;
  for (int64_t i = 0; i < batch.num_samples; ++i) {
    block += '+';
    AppendEscaped(batch.ids[i], &block);
    block += '\n';
  }
  int64_t skipped = 0;
  for (const FileBadRow& row : trained.bad_rows) {
    if (row.fault.is_kept()) continue;
    ++skipped;
    block += '-';
    AppendEscaped(row.id, &block);
    block += '\t';
    AppendEscaped(*row.path, &block);
    block += fmt::format("\t{}\n", row.fault.row + 1);
  }
  if (block.empty()) return Status();  // the step had no row of this worker's
  block += fmt::format("# step {} epoch {} trained {} skipped {}", step, trained.epoch + 1, batch.num_samples, skipped);
  block += fmt::format(" crc32c {:08x}\n", Crc32c(block.data(), block.size()));
  return Write(block).Wrap("writing the ledger");
}

Status Ledger::Write(const std::string& block) {
  if (!file_) {
    WEIR_ASSIGN_OR_RETURN(file_, file_system_->Create(JoinPath(folder_, name_)));
    WEIR_RETURN_IF_ERROR(file_system_->SyncFolder(folder_));
  }
  bytes_ += block.size();
  return file_->Append(BytesOf(block));
}

Status Ledger::Commit(TrainingState* training) {
  const Status synced = file_ ? file_->Sync() : Status();
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker_.collective, synced.Wrap("writing the ledger")));
  LedgerFile mine;
  mine.set_name(name_);
  mine.set_bytes(bytes_);
  const std::string text = mine.SerializeAsString();
  WEIR_ASSIGN_OR_RETURN(const auto all, worker_.collective->AllGather(BytesOf(text)));
  *training->mutable_ledger() = old_;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    LedgerFile file;
    if (!file.ParseFromArray(all[rank].data(), static_cast<int>(all[rank].size()))) {
      return Internal(fmt::format("the length of worker {}'s ledger cannot be read", rank));
    }
    if (file.bytes() > 0) *training->add_ledger() = file;
  }
  return Status();
}

}  // namespace weir
