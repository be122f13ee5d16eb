#include "checkpoint/manifest.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "base/crc32c.h"
#include "base/write_file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"
#include "proto/transform_versions.h"

namespace weir {
namespace {

constexpr size_t kChecksumLineBytes = 17;  // "crc32c: " + 8 digits + "\n"

std::string ChecksumLine(std::string_view text) {
  return fmt::format("crc32c: {:08x}\n", Crc32c(text.data(), text.size()));
}

std::string Printable(std::string_view bytes) {
  std::string text;
  for (char c : bytes) text += c >= ' ' && c <= '~' ? c : '?';
  return text;
}

// Keeps the first error, and the first warning: an unknown field, which a manifest of this version has none of.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override { Keep(line, column, message); }
  void AddWarning(int line, int column, const std::string& message) override { Keep(line, column, message); }
  const std::string& message() const { return message_; }

 private:
  void Keep(int line, int column, const std::string& message) {
    if (message_.empty()) message_ = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  std::string message_;
};

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." && name != kManifestName &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

std::string TableProblem(const TableSummary& table, std::set<std::string>* names) {
  if (!names->insert(table.name()).second) return fmt::format("table \"{}\" stands twice", table.name());
  if (table.dim() < 1 || table.dim() > kRowWidthMax) {
    return fmt::format("table \"{}\": expected a dim in [1, {}], found {}", table.name(), kRowWidthMax, table.dim());
  }
  int64_t width = table.dim();
  for (const StateSlot& slot : table.state()) {
    if (slot.width() < 1 || slot.width() > kRowWidthMax) {
      return fmt::format("table \"{}\", state \"{}\": expected a width in [1, {}], found {}", table.name(), slot.name(),
                         kRowWidthMax, slot.width());
    }
    width += slot.width();
  }
  if (width > kRowWidthMax) {
    return fmt::format("table \"{}\": expected at most {} floats a row, found {}", table.name(), kRowWidthMax, width);
  }
  return "";
}

std::string FileProblem(const DataFile& file, const std::set<std::string>& tables, int virtual_shards) {
  if (!IsPlainName(file.name())) return fmt::format("expected a plain file name, found \"{}\"", file.name());
  if (file.kind() == DataFile::DENSE) return "";
  if (file.kind() != DataFile::ROWS && file.kind() != DataFile::POLICY) {
    return fmt::format("file {}: unknown kind {}", file.name(), file.kind());
  }
  if (!tables.contains(file.table())) {
    return fmt::format("file {} is of table \"{}\", which is not among the tables", file.name(), file.table());
  }
  if (file.shard_begin() < 0 || file.shard_begin() >= file.shard_end() || file.shard_end() > virtual_shards) {
    return fmt::format("file {}: expected virtual shards within [0, {}), found [{}, {})", file.name(), virtual_shards,
                       file.shard_begin(), file.shard_end());
  }
  return "";
}

// Every virtual shard of the table in exactly one file, and as many rows as the summary says.
std::string CoverProblem(const Manifest& manifest, const TableSummary& table) {
  int next = 0;
  uint64_t rows = 0;
  for (const DataFile& file : RowFilesOf(manifest, table.name())) {
    if (file.shard_begin() != next) {
      return fmt::format("table \"{}\": expected a file that begins with virtual shard {}, found {} with [{}, {})",
                         table.name(), next, file.name(), file.shard_begin(), file.shard_end());
    }
    next = file.shard_end();
    rows += file.rows();
  }
  int virtual_shards = manifest.hash_rule().virtual_shards();
  if (next != virtual_shards) {
    return fmt::format("table \"{}\": no file holds virtual shards [{}, {})", table.name(), next, virtual_shards);
  }
  if (rows != table.rows()) {
    return fmt::format("table \"{}\": expected {} rows, found {} in its files", table.name(), table.rows(), rows);
  }
  return "";
}

// Every transform of the job in the version that is recorded, which is 1 where none is.
Status RefuseOtherTransforms(const std::string& path, const Manifest& manifest) {
  std::map<std::string, int> known = TransformVersions(manifest.job()), recorded;
  for (const auto& [name, version] : known) recorded[name] = 1;
  for (const TransformVersion& transform : manifest.transforms()) recorded[transform.name()] = transform.version();
  for (const auto& [name, version] : recorded) {
    const auto here = known.find(name);
    if (here != known.end() && here->second == version) continue;
    return FailedPrecondition(fmt::format(
        "{}: expected transform {} of {}, found version {}: its values come out otherwise here, so training on or "
        "scoring with it would give the model other inputs; read it with the version of Weir that wrote it",
        path, name, here == known.end() ? "no version, as its job has none" : fmt::format("version {}", here->second),
        version));
  }
  return Status();
}

Status RefuseOtherVersions(const std::string& path, const Manifest& manifest) {
  if (manifest.format_version() != kCheckpointFormatVersion) {
    return FailedPrecondition(
        fmt::format("{}: expected format version {}, found {}: read it with the version of Weir "
                    "that wrote it",
                    path, kCheckpointFormatVersion, manifest.format_version()));
  }
  if (manifest.hash_rule().version() != kHashRuleVersion) {
    return FailedPrecondition(
        fmt::format("{}: expected hash rule {}, found {}: its keys are made by another rule, so training on or scoring "
                    "with it here would look up the wrong rows",
                    path, kHashRuleVersion, manifest.hash_rule().version()));
  }
  return RefuseOtherTransforms(path, manifest);
}

}  // namespace

std::string SerializeManifest(const Manifest& manifest) {
  std::string text;
  CHECK(google::protobuf::TextFormat::PrintToString(manifest, &text));
  text += ChecksumLine(text);
  return text;
}

Result<Manifest> ParseManifest(const std::string& path, const std::string& bytes) {
  if (bytes.size() < kChecksumLineBytes) {
    return DataLoss(fmt::format("{}: expected at least {} bytes, found {}", path, kChecksumLineBytes, bytes.size()));
  }
  std::string_view all = bytes;
  std::string_view text = all.substr(0, all.size() - kChecksumLineBytes);
  std::string_view last_line = all.substr(text.size());
  std::string expected = ChecksumLine(text);
  if (last_line != expected) {
    return DataLoss(fmt::format("{}: torn or changed: expected the last line \"{}\", found \"{}\"", path,
                                Printable(expected.substr(0, kChecksumLineBytes - 1)), Printable(last_line)));
  }
  Manifest manifest;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.AllowUnknownField(true);  // to say "another version" rather than "unknown field"
  bool parsed = parser.ParseFromString(std::string(text), &manifest);
  if (manifest.has_format_version()) WEIR_RETURN_IF_ERROR(RefuseOtherVersions(path, manifest));
  if (!parsed || !error.message().empty()) return DataLoss(fmt::format("{}: {}", path, error.message()));
  WEIR_RETURN_IF_ERROR(RefuseOtherVersions(path, manifest));
  std::string problem = ManifestProblem(manifest);
  if (!problem.empty()) return DataLoss(fmt::format("{}: {}", path, problem));
  return manifest;
}

std::string ManifestProblem(const Manifest& manifest) {
  if (manifest.step() < 0) return fmt::format("expected a step of at least 0, found {}", manifest.step());
  int virtual_shards = manifest.hash_rule().virtual_shards();
  if (virtual_shards < 1 || virtual_shards > kVirtualShardsMax || (virtual_shards & (virtual_shards - 1)) != 0) {
    return fmt::format("hash_rule.virtual_shards: expected a power of two in [1, {}], found {}", kVirtualShardsMax,
                       virtual_shards);
  }
  std::set<std::string> tables, files;
  for (const TableSummary& table : manifest.tables()) {
    if (std::string problem = TableProblem(table, &tables); !problem.empty()) return problem;
  }
  int dense_files = 0;
  for (const DataFile& file : manifest.files()) {
    if (std::string problem = FileProblem(file, tables, virtual_shards); !problem.empty()) return problem;
    if (!files.insert(file.name()).second) return fmt::format("file {} stands twice", file.name());
    dense_files += file.kind() == DataFile::DENSE;
  }
  if (dense_files > 1) return fmt::format("expected at most one DENSE file, found {}", dense_files);
  for (const TableSummary& table : manifest.tables()) {
    if (std::string problem = CoverProblem(manifest, table); !problem.empty()) return problem;
  }
  return "";
}

Status WriteManifest(FileSystem* file_system, const std::string& folder, const Manifest& manifest) {
  std::string path = JoinPath(folder, kManifestName);
  std::string bytes = SerializeManifest(manifest);
  if (bytes.size() > kManifestBytesMax) {
    return ResourceExhausted(
        fmt::format("{}: expected at most {} bytes, found {}", path, kManifestBytesMax, bytes.size()));
  }
  return WriteFile(file_system, path, bytes);
}

Result<Manifest> ReadManifest(FileSystem* file_system, const std::string& path) {
  std::string manifest_path = JoinPath(path, kManifestName);
  if (!file_system->Exists(manifest_path)) {
    return NotFound(fmt::format("{}: no {} in it: not a checkpoint", path, kManifestName));
  }
  WEIR_ASSIGN_OR_RETURN(std::string bytes, file_system->ReadAll(manifest_path, kManifestBytesMax));
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(manifest_path, bytes));
  std::filesystem::path folder(path);
  if (!folder.has_filename()) folder = folder.parent_path();  // "out/step-5/"
  std::optional<int64_t> step = ParseStepFolderName(folder.filename().string());
  if (step && *step != manifest.step()) {
    return DataLoss(
        fmt::format("{}: expected step {} by the folder's name, found {}", manifest_path, *step, manifest.step()));
  }
  return manifest;
}

std::vector<DataFile> RowFilesOf(const Manifest& manifest, const std::string& table) {
  std::vector<DataFile> files;
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::ROWS && file.table() == table) files.push_back(file);
  }
  std::sort(files.begin(), files.end(),
            [](const DataFile& a, const DataFile& b) { return a.shard_begin() < b.shard_begin(); });
  return files;
}

RowLayout LayoutOf(const TableSummary& table) {
  RowLayout layout;
  layout.dim = table.dim();
  layout.weight_type = table.weight_type();
  for (const StateSlot& slot : table.state()) layout.state.push_back({slot.name(), slot.width(), 0});
  return layout;
}

}  // namespace weir
