#include "trainer/metrics_log.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/bytes.h"

namespace weir {
namespace {

constexpr uint64_t kLogBytesMax = uint64_t{1} << 32;
constexpr std::string_view kStepField = "{\"step\": ";

// The step a line of ours begins with; absent for a torn line.
std::optional<int64_t> StepOf(std::string_view line) {
  if (!line.starts_with(kStepField) || !line.ends_with('}')) return std::nullopt;
  line.remove_prefix(kStepField.size());
  int64_t step = 0;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), step);
  if (error != std::errc()) return std::nullopt;
  return step;
}

// The lines of steps up to `step`.
std::string KeptLines(std::string_view text, int64_t step) {
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;  // torn: it was never whole
    std::optional<int64_t> line_step = StepOf(text.substr(begin, end - begin));
    if (line_step && *line_step <= step) kept += text.substr(begin, end + 1 - begin);
    begin = end + 1;
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(std::string path, std::unique_ptr<WritableFile> file)
    : path_(std::move(path)), file_(std::move(file)) {}

Result<std::unique_ptr<MetricsLog>> MetricsLog::Open(FileSystem& file_system, const std::string& path, int64_t step) {
  std::string kept;
  if (step > 0 && file_system.Exists(path)) {
    WEIR_ASSIGN_OR_RETURN(std::string text, file_system.ReadAll(path, kLogBytesMax));
    kept = KeptLines(text, step);
  }
  // Written beside, then moved over the old one; the open file goes on under the new name.
  const std::string beside = path + ".tmp";
  WEIR_ASSIGN_OR_RETURN(auto file, file_system.Create(beside));
  WEIR_RETURN_IF_ERROR(file->Append(BytesOf(kept)).Wrap(path));
  WEIR_RETURN_IF_ERROR(file->Sync().Wrap(path));
  // FileSystem::Rename never replaces a file, as checkpoints need; a log is replaced.
  std::error_code error;
  std::filesystem::rename(beside, path, error);
  if (error) return ErrnoStatus(error.value(), fmt::format("renaming {} to {}", beside, path));
  return std::unique_ptr<MetricsLog>(new MetricsLog(path, std::move(file)));
}

Status MetricsLog::Append(int64_t step, std::span<const JsonField> fields) {
  std::vector<JsonField> all = {{"step", step}};
  all.insert(all.end(), fields.begin(), fields.end());
  return file_->Append(BytesOf(JsonLine(all) + "\n")).Wrap(path_);
}

Status MetricsLog::Close() { return file_->Close().Wrap(path_); }

}  // namespace weir
