// Finding, pruning and cleaning up the checkpoints of a folder.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/step_folder.h"

namespace weir {
namespace {

// The names in root; none when there is no such folder.
Result<std::vector<std::string>> NamesIn(FileSystem* file_system, const std::string& root) {
  if (!file_system->Exists(root)) return std::vector<std::string>();
  return file_system->List(root);
}

// Whether the files are there with the sizes that the manifest gives: one look at each, no byte read.
Status CheckSizes(FileSystem* file_system, const std::string& path, const Manifest& manifest) {
  for (const DataFile& file : manifest.files()) {
    std::string file_path = JoinPath(path, file.name());
    if (!file_system->Exists(file_path)) {
      return DataLoss(fmt::format("{}: expected {} bytes, found no file", file_path, file.bytes()));
    }
    WEIR_ASSIGN_OR_RETURN(uint64_t bytes, file_system->FileSize(file_path));
    if (bytes != file.bytes()) {
      return DataLoss(fmt::format("{}: expected {} bytes, found {}", file_path, file.bytes(), bytes));
    }
  }
  return Status();
}

// The best checkpoint by the evaluations the last one knows of, else the last.
const CheckpointEntry& BestOf(const std::vector<CheckpointEntry>& entries) {
  const TrainingState& training = entries.back().manifest.training();
  if (training.has_best()) {
    for (const CheckpointEntry& entry : entries) {
      if (entry.step == training.best().step()) return entry;
    }
  }
  return entries.back();
}

}  // namespace

Result<std::vector<CheckpointEntry>> ListCheckpoints(FileSystem* file_system, const std::string& root,
                                                     std::vector<std::string>* damaged) {
  WEIR_ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(file_system, root));
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : names) {
    std::optional<int64_t> step = ParseStepFolderName(name);
    if (!step) continue;
    std::string path = JoinPath(root, name);
    Result<Manifest> manifest = ReadManifest(file_system, path);
    Status status = manifest.ok() ? CheckSizes(file_system, path, *manifest) : manifest.status();
    if (status.ok()) {
      entries.push_back({path, *step, *std::move(manifest)});
    } else if (damaged != nullptr) {
      damaged->push_back(fmt::format("{}: {}", path, status.ToString()));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const CheckpointEntry& a, const CheckpointEntry& b) { return a.step < b.step; });
  return entries;
}

Result<std::string> ResolveCheckpoint(FileSystem* file_system, const std::string& path) {
  if (!file_system->Exists(path)) return NotFound(fmt::format("no checkpoint {}: no such folder", path));
  std::filesystem::path folder(path);
  if (!folder.has_filename()) folder = folder.parent_path();
  if (file_system->Exists(JoinPath(path, kManifestName)) || ParseStepFolderName(folder.filename().string())) {
    WEIR_RETURN_IF_ERROR(ReadManifest(file_system, folder.string()).status());
    return folder.string();
  }
  std::string root = JoinPath(path, "checkpoints");
  if (!file_system->Exists(root)) root = folder.string();
  std::vector<std::string> damaged;
  WEIR_ASSIGN_OR_RETURN(std::vector<CheckpointEntry> entries, ListCheckpoints(file_system, root, &damaged));
  for (const std::string& line : damaged) LOG(WARNING) << "not considered: " << line;
  if (!entries.empty()) return BestOf(entries).path;
  if (!damaged.empty()) {
    return DataLoss(fmt::format("no whole checkpoint in {}: {}", root, fmt::join(damaged, "; ")));
  }
  return NotFound(fmt::format(
      "no checkpoint in {}: expected a step-N folder, a run's output folder or its checkpoints folder", root));
}

Status PruneCheckpoints(FileSystem* file_system, const std::string& root, int keep,
                        std::span<const int64_t> also_keep) {
  if (keep < 1) return InvalidArgument(fmt::format("pruning {}: expected to keep at least 1, found {}", root, keep));
  WEIR_ASSIGN_OR_RETURN(std::vector<CheckpointEntry> entries, ListCheckpoints(file_system, root, nullptr));
  bool renamed = false;
  for (size_t i = 0; i + keep < entries.size(); ++i) {
    if (std::find(also_keep.begin(), also_keep.end(), entries[i].step) != also_keep.end()) continue;
    WEIR_ASSIGN_OR_RETURN(std::string name, TemporaryFolderName(entries[i].step));
    WEIR_RETURN_IF_ERROR(file_system->Rename(entries[i].path, JoinPath(root, name)));
    renamed = true;
  }
  // Durable before a file goes, or a half-removed step-N might come back after a power cut.
  if (renamed) WEIR_RETURN_IF_ERROR(file_system->SyncFolder(root));
  return RemoveLeftovers(file_system, root);
}

Status RemoveLeftovers(FileSystem* file_system, const std::string& root) {
  WEIR_ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(file_system, root));
  for (const std::string& name : names) {
    if (IsLeftover(name)) WEIR_RETURN_IF_ERROR(file_system->RemoveAll(JoinPath(root, name)));
  }
  return Status();
}

}  // namespace weir
