// What was typed after `weir`: a command, its arguments, flags and overrides of the job.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weir {

// A flag of a command: "--out DIR", or "--force" without a value.
struct FlagSpec {
  std::string name;   // without dashes
  std::string value;  // what the value is called in help; empty for a flag that takes none
  std::string help;
  bool required = false;
  bool repeated = false;  // may be given several times; any other one holds its last value
};

// How many arguments of each kind a command takes.
struct CommandSyntax {
  std::string name;
  int arguments_min = 0;
  int arguments_max = 0;
  bool overrides = false;  // whether field.path=value may follow the arguments
  std::vector<FlagSpec> flags;
};

struct CommandLine {
  std::string command;
  std::vector<std::string> arguments;  // in order: a job's file, a checkpoint's path
  std::vector<std::string> overrides;  // "train.epochs=3", as ReadJob takes them
  // By name, in the order given; "" for one without a value.
  std::map<std::string, std::vector<std::string>> flags;

  // The flag's value, or `otherwise` when it was not given.
  std::string Flag(const std::string& name, const std::string& otherwise = "") const;
  // All values of a repeated flag.
  std::vector<std::string> Flags(const std::string& name) const;
  // The flag's value as a whole number from `least` to `most`; InvalidArgument names the flag and the range.
  Result<int64_t> Number(const std::string& name, int64_t otherwise, int64_t least, int64_t most) const;
  bool HasFlag(const std::string& name) const { return flags.count(name) > 0; }
};

// Parses what follows the command's name. Flags may stand anywhere, as "--out DIR" or "--out=DIR"; the first
// arguments_max of the other words are arguments, the rest overrides. InvalidArgument names the word and, for a flag,
// the nearest known one.
Result<CommandLine> ParseCommandLine(const CommandSyntax& syntax, std::span<const std::string> words);

}  // namespace weir
