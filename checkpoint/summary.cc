#include "checkpoint/summary.h"

#include <ctime>

#include <fmt/format.h>

namespace weir {
namespace {

std::string UtcTime(int64_t unix_s) {
  std::time_t seconds = static_cast<std::time_t>(unix_s);
  std::tm utc{};
  char text[32];
  if (::gmtime_r(&seconds, &utc) == nullptr) return "-";
  if (std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) return "-";
  return text;
}

std::string Bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

}  // namespace

CheckpointSummary Summarize(const Manifest& manifest) {
  CheckpointSummary summary;
  summary.step = manifest.step();
  summary.created_unix_s = manifest.created_unix_s();
  summary.tables = manifest.tables_size();
  summary.files = manifest.files_size();
  for (const DataFile& file : manifest.files()) {
    summary.rows += file.rows();
    summary.bytes += file.bytes();
  }
  summary.epoch = manifest.position().epoch();
  summary.samples = manifest.position().samples();
  summary.complete = manifest.training().complete();
  if (manifest.training().has_at_this_step()) {
    const Evaluation& evaluation = manifest.training().at_this_step();
    if (evaluation.has_logloss()) summary.logloss = evaluation.logloss();
    if (evaluation.has_auc()) summary.auc = evaluation.auc();
  }
  return summary;
}

std::string ToLine(const CheckpointSummary& summary) {
  std::string line = fmt::format("step {}  {}  {} rows in {} tables  {} in {} files  epoch {} + {} samples",
                                 summary.step, UtcTime(summary.created_unix_s), summary.rows, summary.tables,
                                 Bytes(summary.bytes), summary.files, summary.epoch, summary.samples);
  if (summary.logloss) line += fmt::format("  logloss {:.6f}", *summary.logloss);
  if (summary.auc) line += fmt::format("  auc {:.6f}", *summary.auc);
  if (summary.complete) line += "  complete";
  return line;
}

}  // namespace weir
