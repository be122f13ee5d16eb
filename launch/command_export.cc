#include <iostream>

#include "base/file_system.h"
#include "launch/commands.h"
#include "serving/export.h"

namespace weir {

int RunExport(const CommandLine& line) {
  const std::string out = line.Flag("out");
  const Status status = ExportModel(&LocalFileSystem(), line.arguments[0], out);
  if (!status.ok()) return ReportError(line, status);
  std::cout << "exported to " << out << ": see " << JoinPath(out, "README.md") << std::endl;
  return 0;
}

}  // namespace weir
