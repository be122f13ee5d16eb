#include <iostream>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "launch/commands.h"
#include "serving/export.h"
#include "trainer/json_line.h"

namespace weir {

int RunExport(const CommandLine& line) {
  const std::string out = line.Flag("out");
  const Status status = ExportModel(&LocalFileSystem(), line.arguments[0], out);
  if (!status.ok()) return ReportError(line, status);
  const std::vector<JsonField> fields = {{"out", out}};
  std::cout << JsonLine(fields) << std::endl;
  return 0;
}

}  // namespace weir
