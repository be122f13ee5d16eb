#include "launch/job_file.h"

#include "base/status.h"

namespace weir {

Result<Job> ReadJobFile(FileSystem* file_system, const std::string& path, std::span<const std::string> overrides,
                        JobErrors* errors) {
  constexpr uint64_t kJobBytesMax = 16 << 20;
  const Result<std::string> text = file_system->ReadAll(path, kJobBytesMax);
  if (!text.ok()) return text.status().Wrap("reading the job");
  return ReadJob(path, *text, overrides, errors);
}

}  // namespace weir
