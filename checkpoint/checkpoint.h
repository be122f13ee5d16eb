// A checkpoint: a folder step-N with row files, the dense tensors and a MANIFEST, committed as a whole or not at all.
// docs/formats.md has the files byte by byte, and the order of writes, syncs and renames.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// Version of the rule that turns values into keys (data_loader/key.h, which has the same number); stored in every
// manifest.
inline constexpr int kHashRuleVersion = 1;
inline constexpr int kCheckpointFormatVersion = 1;

// A dense parameter ("parameter/top.0.weight") or a state of its optimizer ("exp_avg/top.0.weight").
struct DenseTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Writes one checkpoint. Made by the coordinating rank; owners of rows write into folder() between Begin and Commit.
class CheckpointWriter {
 public:
  // Makes root/step-N.tmp-UUID. `root` is made if need be.
  static Result<std::unique_ptr<CheckpointWriter>> Begin(FileSystem* file_system, const std::string& root,
                                                         int64_t step);
  // Removes the temporary folder unless committed.
  ~CheckpointWriter();

  const std::string& folder() const { return folder_; }

  Status WriteDense(std::span<const DenseTensor> tensors);
  // What EmbeddingStore::Save returned.
  void AddFiles(std::span<const DataFile> files);

  // Fills in format_version, step, created_unix_s and files, writes MANIFEST, syncs and renames to root/step-N; returns
  // that path. A step-N that is already there and whole is left (AlreadyExists); a damaged one is renamed to
  // step-N.bad-UUID first.
  Result<std::string> Commit(Manifest manifest);

 private:
  CheckpointWriter(FileSystem* file_system, std::string root, std::string folder, int64_t step);

  FileSystem* const file_system_;
  const std::string root_;
  const std::string folder_;
  const int64_t step_;
  std::vector<DataFile> files_;
  bool committed_ = false;
};

// Reads and checks MANIFEST: its own CRC32C, format version and hash rule. `path` is a step-N folder.
Result<Manifest> ReadManifest(FileSystem* file_system, const std::string& path);

// The dense tensors, checked against the manifest's size and checksum.
Result<std::vector<DenseTensor>> ReadDense(FileSystem* file_system, const std::string& path, const Manifest& manifest);

struct CheckpointEntry {
  std::string path;
  int64_t step = 0;
  Manifest manifest;
};

// The committed checkpoints under `root`, by ascending step. Ones that cannot be read are left out and named in
// `damaged` (if not null), as "path: why". An absent root has none.
Result<std::vector<CheckpointEntry>> ListCheckpoints(FileSystem* file_system, const std::string& root,
                                                     std::vector<std::string>* damaged);

// Reads the newest checkpoint whole and, while it is damaged, renames it to step-N.bad-UUID and takes the one before.
// Returns the path of the newest whole one; "" when there is none.
Result<std::string> NewestWholeCheckpoint(FileSystem* file_system, const std::string& root);

// What a user means by a checkpoint's path: a step-N folder; a run's output folder (or its checkpoints/ folder): the
// best by the manifests' evaluations, else the last. NotFound says what was looked for.
Result<std::string> ResolveCheckpoint(FileSystem* file_system, const std::string& path);

// Removes all but the newest `keep` and those at the steps `also_keep`; and temporary folders left by a run that died.
Status PruneCheckpoints(FileSystem* file_system, const std::string& root, int keep, std::span<const int64_t> also_keep);

// Removes temporary folders left by a run that died. Called by the owner at its start.
Status RemoveLeftovers(FileSystem* file_system, const std::string& root);

// Reads every byte: sizes, checksums, layouts, keys in their shards, no key twice.
Status VerifyCheckpoint(FileSystem* file_system, const std::string& path);

// Compares by key and bits: tables, rows (weights, state, last step, count), dense tensors, loader position and step.
// Empty when equal, else at most `lines_max` lines that say where they differ.
Result<std::vector<std::string>> DiffCheckpoints(FileSystem* file_system, const std::string& a, const std::string& b,
                                                 int lines_max);

}  // namespace weir
