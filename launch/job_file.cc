#include "launch/job_file.h"

#include "base/status.h"
#include "data_loader/transforms/fit.h"

namespace weir {

Result<Job> ReadJobFile(FileSystem* file_system, const std::string& path, std::span<const std::string> overrides,
                        JobErrors* errors) {
  constexpr uint64_t kJobBytesMax = 16 << 20;
  const Result<std::string> text = file_system->ReadAll(path, kJobBytesMax);
  if (!text.ok()) return text.status().Wrap("reading the job");
  WEIR_ASSIGN_OR_RETURN(Job job, ReadJob(path, *text, overrides, errors));
  WEIR_RETURN_IF_ERROR(FitTransforms(&job).Wrap(path));
  return job;
}

}  // namespace weir
