#include <charconv>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "launch/commands.h"

namespace weir {
namespace {

std::string Date(int64_t unix_s) {
  const std::time_t seconds = unix_s;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &utc);
  return text;
}

std::string Evaluated(const TrainingState& state) {
  if (!state.has_at_this_step()) return "-";
  const Evaluation& evaluation = state.at_this_step();
  return evaluation.has_auc() ? fmt::format("auc {:.5f} logloss {:.5f}", evaluation.auc(), evaluation.logloss())
                              : fmt::format("logloss {:.5f}", evaluation.logloss());
}

void PrintEntry(const CheckpointEntry& entry) {
  uint64_t rows = 0, bytes = 0;
  for (const TableSummary& table : entry.manifest.tables()) rows += table.rows();
  for (const DataFile& file : entry.manifest.files()) bytes += file.bytes();
  fmt::print("{}  {} UTC  {} rows  {:.1f} MiB  {}{}\n", entry.path, Date(entry.manifest.created_unix_s()), rows,
             static_cast<double>(bytes) / (1 << 20), Evaluated(entry.manifest.training()),
             entry.manifest.training().complete() ? "  complete" : "");
}

// The checkpoints under `path`, or under its folder checkpoints/, where a run puts them.
int List(const CommandLine& line, const std::string& path) {
  FileSystem& files = LocalFileSystem();
  const std::string inside = JoinPath(path, "checkpoints");
  const std::string root = files.Exists(inside) ? inside : path;
  if (!files.Exists(root)) return ReportError(line, NotFound(fmt::format("{}: no such folder", root)));
  std::vector<std::string> damaged;
  const Result<std::vector<CheckpointEntry>> entries = ListCheckpoints(&files, root, &damaged);
  if (!entries.ok()) return ReportError(line, entries.status());
  for (const CheckpointEntry& entry : *entries) PrintEntry(entry);
  for (const std::string& text : damaged) fmt::print("damaged: {}\n", text);
  if (entries->empty() && damaged.empty()) fmt::print(stderr, "no checkpoints in {}\n", root);
  return damaged.empty() ? 0 : 1;
}

int Verify(const CommandLine& line, const std::string& path) {
  const Result<std::string> checkpoint = ResolveCheckpoint(&LocalFileSystem(), path);
  if (!checkpoint.ok()) return ReportError(line, checkpoint.status());
  const Status status = VerifyCheckpoint(&LocalFileSystem(), *checkpoint);
  if (!status.ok()) return ReportError(line, status);
  fmt::print("{}: whole\n", *checkpoint);
  return 0;
}

int Diff(const CommandLine& line) {
  int lines_max = 100;
  const std::string wanted = line.Flag("lines", "100");
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), lines_max);
  if (error != std::errc() || end != wanted.data() + wanted.size() || lines_max < 1) {
    return ReportError(line, InvalidArgument(fmt::format("--lines is \"{}\", expected a number from 1", wanted)));
  }
  const Result<std::string> a = ResolveCheckpoint(&LocalFileSystem(), line.arguments[1]);
  if (!a.ok()) return ReportError(line, a.status());
  const Result<std::string> b = ResolveCheckpoint(&LocalFileSystem(), line.arguments[2]);
  if (!b.ok()) return ReportError(line, b.status());
  const Result<std::vector<std::string>> differences = DiffCheckpoints(&LocalFileSystem(), *a, *b, lines_max);
  if (!differences.ok()) return ReportError(line, differences.status());
  if (differences->empty()) fmt::print("{} and {} are equal\n", *a, *b);
  for (const std::string& difference : *differences) fmt::print("{}\n", difference);
  return differences->empty() ? 0 : 1;
}

}  // namespace

int RunCheckpoint(const CommandLine& line) {
  const std::string& verb = line.arguments[0];
  const size_t paths = line.arguments.size() - 1;
  if (verb == "ls" && paths == 1) return List(line, line.arguments[1]);
  if (verb == "verify" && paths == 1) return Verify(line, line.arguments[1]);
  if (verb == "diff" && paths == 2) return Diff(line);
  fmt::print(stderr, "weir checkpoint: expected 'ls OUTPUT', 'verify CHECKPOINT' or 'diff CHECKPOINT CHECKPOINT'\n");
  return 2;
}

}  // namespace weir
