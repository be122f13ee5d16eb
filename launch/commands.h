// The commands of `weir`: each in a file of its own, command_NAME.cc, listed once in Commands().
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "launch/command_line.h"

namespace weir {

// Each runs one command and returns the exit status of the process: 0 when it did what was asked, 1 when not. What goes
// wrong is reported on stderr by ReportError, what was asked for is printed on stdout.
int RunTrain(const CommandLine& line);
int RunEval(const CommandLine& line);
int RunPredict(const CommandLine& line);
int RunExport(const CommandLine& line);
int RunValidate(const CommandLine& line);
int RunDoctor(const CommandLine& line);
int RunCheckpoint(const CommandLine& line);
int RunTableReport(const CommandLine& line);
int RunTableSim(const CommandLine& line);
int RunConvert(const CommandLine& line);
int RunStats(const CommandLine& line);

struct Command {
  CommandSyntax syntax;
  std::string usage;    // what follows the command's name
  std::string summary;  // one line
  std::string details;
  int (*run)(const CommandLine&);
};

const std::vector<Command>& Commands();

// "weir train: InvalidArgument: ..." on stderr. Returns 1.
int ReportError(const CommandLine& line, const Status& status);

}  // namespace weir
