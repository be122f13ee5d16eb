#include <filesystem>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/damaged.h"
#include "checkpoint/dense_file.h"
#include "checkpoint/manifest.h"
#include "checkpoint/step_folder.h"
#include "proto/transform_versions.h"

namespace weir {
namespace {

// Makes a folder whose parents may be missing too, so that all of them survive a power cut.
Status CreateDurably(FileSystem* file_system, const std::string& folder) {
  std::vector<std::string> parents;
  std::filesystem::path missing = std::filesystem::absolute(folder).lexically_normal();
  if (!missing.has_filename()) missing = missing.parent_path();
  for (; !file_system->Exists(missing.string()) && missing.has_relative_path(); missing = missing.parent_path()) {
    parents.push_back(missing.parent_path().string());
  }
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(folder));
  for (const std::string& parent : parents) WEIR_RETURN_IF_ERROR(file_system->SyncFolder(parent));
  return Status();
}

// Rows per table as the files have them, where the caller left them out.
void FillRows(Manifest* manifest) {
  std::map<std::string, uint64_t> rows;
  for (const DataFile& file : manifest->files()) {
    if (file.kind() == DataFile::ROWS) rows[file.table()] += file.rows();
  }
  for (TableSummary& table : *manifest->mutable_tables()) {
    if (!table.has_rows()) table.set_rows(rows[table.name()]);
  }
}

// Owners that write to a folder of their own host instead of the shared one would leave a commit without their rows.
Status CheckFilesAreThere(FileSystem* file_system, const std::string& folder, const Manifest& manifest) {
  for (const DataFile& file : manifest.files()) {
    const std::string path = JoinPath(folder, file.name());
    Result<uint64_t> bytes = file_system->FileSize(path);
    if (bytes.ok() && *bytes == file.bytes()) continue;
    return FailedPrecondition(fmt::format(
        "{}: expected the {} bytes its owner wrote, found {}: do all hosts share the output folder?", path,
        file.bytes(), bytes.ok() ? fmt::format("{} bytes", *bytes) : bytes.status().message()));
  }
  return Status();
}

}  // namespace

CheckpointWriter::CheckpointWriter(FileSystem* file_system, std::string root, std::string folder, int64_t step)
    : file_system_(file_system), root_(std::move(root)), folder_(std::move(folder)), step_(step) {}

CheckpointWriter::~CheckpointWriter() {
  if (!committed_) file_system_->RemoveAll(folder_).IgnoreError();  // else RemoveLeftovers finds it
}

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Begin(FileSystem* file_system, const std::string& root,
                                                                  int64_t step) {
  if (step < 0)
    return InvalidArgument(fmt::format("checkpoint in {}: expected a step of at least 0, found {}", root, step));
  WEIR_RETURN_IF_ERROR(CreateDurably(file_system, root));
  WEIR_ASSIGN_OR_RETURN(std::string name, TemporaryFolderName(step));
  std::string folder = JoinPath(root, name);
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(folder));
  return std::unique_ptr<CheckpointWriter>(new CheckpointWriter(file_system, root, folder, step));
}

Status CheckpointWriter::WriteDense(std::span<const DenseTensor> tensors) {
  WEIR_ASSIGN_OR_RETURN(DataFile entry, WriteDenseFile(file_system_, folder_, tensors));
  files_.push_back(std::move(entry));
  return Status();
}

void CheckpointWriter::AddFiles(std::span<const DataFile> files) {
  files_.insert(files_.end(), files.begin(), files.end());
}

Result<std::string> CheckpointWriter::Commit(Manifest manifest) {
  CHECK(!committed_) << folder_;
  manifest.set_format_version(kCheckpointFormatVersion);
  manifest.set_step(step_);
  manifest.set_created_unix_s(SystemClock().UnixNanos() / kNanosPerSecond);
  manifest.mutable_files()->Assign(files_.begin(), files_.end());
  if (!manifest.hash_rule().has_version()) manifest.mutable_hash_rule()->set_version(kHashRuleVersion);
  *manifest.mutable_transforms() = RecordedTransforms(manifest.job());
  FillRows(&manifest);
  std::string path = JoinPath(root_, StepFolderName(step_));
  std::string problem = ManifestProblem(manifest);
  if (!problem.empty()) return InvalidArgument(fmt::format("committing {}: {}", path, problem));

  WEIR_RETURN_IF_ERROR(CheckFilesAreThere(file_system_, folder_, manifest));
  WEIR_RETURN_IF_ERROR(WriteManifest(file_system_, folder_, manifest));
  WEIR_RETURN_IF_ERROR(file_system_->SyncFolder(folder_));
  WEIR_RETURN_IF_ERROR(MakeWay(file_system_, root_, step_));
  WEIR_RETURN_IF_ERROR(file_system_->Rename(folder_, path));
  committed_ = true;
  WEIR_RETURN_IF_ERROR(file_system_->SyncFolder(root_));
  return path;
}

Result<std::vector<DenseTensor>> ReadDense(FileSystem* file_system, const std::string& path, const Manifest& manifest) {
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::DENSE) return ReadDenseFile(file_system, path, file);
  }
  return std::vector<DenseTensor>();
}

}  // namespace weir
