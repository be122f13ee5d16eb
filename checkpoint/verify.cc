// Reading a checkpoint to its last byte.
#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/policy_file.h"
#include "checkpoint/row_file_reader.h"

namespace weir {
namespace {

Status VerifyRowFile(FileSystem* file_system, const std::string& path, const Manifest& manifest,
                     const TableSummary& table, const DataFile& file) {
  RowFileHeader header{table.name(), LayoutOf(table), {}, manifest.hash_rule().virtual_shards()};
  WEIR_ASSIGN_OR_RETURN(auto reader, RowFileReader::Open(file_system, path, file, std::move(header)));
  while (true) {
    WEIR_ASSIGN_OR_RETURN(RowBatch batch, reader->Next());
    if (batch.num_rows == 0) return Status();
    for (int64_t i = 0; i < batch.num_rows; ++i) {
      if (batch.last_steps[i] > manifest.step()) {
        return DataLoss(fmt::format("{}: table \"{}\", key {}: expected a last step of at most {}, found {}",
                                    reader->path(), table.name(), batch.keys[i], manifest.step(), batch.last_steps[i]));
      }
    }
  }
}

}  // namespace

// The manifest's own check sees to it that files of a table share no virtual shard, and the reader that keys ascend
// within a file: so no key stands twice.
Status VerifyCheckpoint(FileSystem* file_system, const std::string& path) {
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(file_system, path));
  WEIR_RETURN_IF_ERROR(ReadDense(file_system, path, manifest).status());
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::POLICY) WEIR_RETURN_IF_ERROR(VerifyPolicyFile(file_system, path, file));
  }
  for (const TableSummary& table : manifest.tables()) {
    for (const DataFile& file : RowFilesOf(manifest, table.name())) {
      WEIR_RETURN_IF_ERROR(VerifyRowFile(file_system, path, manifest, table, file));
    }
  }
  return Status();
}

}  // namespace weir
