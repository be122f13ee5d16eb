// weir: the command. Finds the command that was typed, parses its line and runs it.
// Exit status: 0 done, 1 failed, 2 not understood.
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include "data_loader/lake/file_systems.h"
#include "launch/commands.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

constexpr int kUsageError = 2;

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.syntax.name == name) return &command;
  }
  return nullptr;
}

void PrintOverview(std::FILE* out) {
  fmt::print(out, "weir: trains large sparse recommender models\n\nusage: weir COMMAND ...\n\n");
  for (const Command& command : Commands()) fmt::print(out, "  {:<14}{}\n", command.syntax.name, command.summary);
  fmt::print(out, "  {:<14}{}\n\n", "help", "explains a command: weir help train");
  fmt::print(out, "A first run: weir train examples/adult/deepfm.textproto\nFields of a job: docs/job.md\n");
}

void PrintHelp(const Command& command, std::FILE* out) {
  fmt::print(out, "weir {}: {}\n\nusage: weir {} {}\n\n{}", command.syntax.name, command.summary, command.syntax.name,
             command.usage, command.details);
  if (!command.syntax.flags.empty()) fmt::print(out, "\n");
  for (const FlagSpec& flag : command.syntax.flags) {
    fmt::print(out, "  --{:<18}{}\n", flag.name + " " + flag.value, flag.help);
  }
}

int UnknownCommand(const std::string& name) {
  std::vector<std::string> known = {"help"};
  for (const Command& command : Commands()) known.push_back(command.syntax.name);
  fmt::print(stderr, "weir: unknown command \"{}\"{}\n", name, SuggestName(name, known));
  return kUsageError;
}

int Help(std::span<const std::string> words) {
  if (words.empty()) {
    PrintOverview(stdout);
    return 0;
  }
  const Command* command = FindCommand(words[0]);
  if (command == nullptr) return words[0] == "help" ? Help({}) : UnknownCommand(words[0]);
  PrintHelp(*command, stdout);
  return 0;
}

bool AsksForHelp(std::span<const std::string> words) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

// "--v=1", but not "--help".
bool IsProcessFlag(std::string_view word) { return word.starts_with("--") && word.find('=') != word.npos; }

int Run(std::span<const std::string> words) {
  if (words.empty()) {
    PrintOverview(stderr);
    return kUsageError;
  }
  const std::string& name = words[0];
  if (name == "help" || name == "--help" || name == "-h") return Help(words.subspan(1));
  const Command* command = FindCommand(name);
  if (command == nullptr) return UnknownCommand(name);
  if (AsksForHelp(words.subspan(1))) return Help(words.first(1));
  const Result<CommandLine> line = ParseCommandLine(command->syntax, words.subspan(1));
  if (!line.ok()) {
    fmt::print(stderr, "weir {}: {}\nusage: weir {} {}\n", name, line.status().message(), name, command->usage);
    return kUsageError;
  }
  return command->run(*line);
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  // What stands before the command is for the process as a whole: glog's flags, such as --minloglevel=1.
  int global_words = 1;
  while (global_words < argc && weir::IsProcessFlag(argv[global_words])) ++global_words;
  FLAGS_logtostderr = true;
  int num_flags = global_words;
  char** flags = argv;
  gflags::ParseCommandLineFlags(&num_flags, &flags, /*remove_flags=*/false);
  google::InitGoogleLogging(argv[0]);
  const weir::FileSystemsScope file_systems;
  const std::vector<std::string> words(argv + global_words, argv + argc);
  return weir::Run(words);
}
