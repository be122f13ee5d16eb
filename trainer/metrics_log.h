// MetricsLog: metrics.jsonl, one JSON object a line, each beginning with its step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "trainer/json_line.h"

namespace weir {

// One thread, of one rank. Errors name the file.
class MetricsLog {
 public:
  // Opens the file to append. A run that resumes after `step` repeats the steps past it: their lines, and a torn last
  // one, are left out (the file is replaced in one move). A new run gives 0 and starts an empty file.
  static Result<std::unique_ptr<MetricsLog>> Open(FileSystem& file_system, const std::string& path, int64_t step);

  // Writes {"step": step, fields...}; the line is with the operating system on return.
  Status Append(int64_t step, std::span<const JsonField> fields);
  Status Close();

 private:
  MetricsLog(std::string path, std::unique_ptr<WritableFile> file);

  const std::string path_;
  std::unique_ptr<WritableFile> file_;
};

}  // namespace weir
