#include "checkpoint/shared_probe.h"

#include <fmt/format.h>

#include "base/write_file.h"
#include "checkpoint/step_folder.h"

namespace weir {
namespace {

constexpr int64_t kNapNanos = 50 * kNanosPerMilli;

std::string ProbePath(const std::string& root, const std::string& token) {
  return JoinPath(root, fmt::format("{}{}", kProbePrefix, token));
}

}  // namespace

Result<std::string> WriteProbe(FileSystem* file_system, const std::string& root) {
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(root));
  WEIR_ASSIGN_OR_RETURN(std::string token, MakeUuid());
  WEIR_RETURN_IF_ERROR(WriteFile(file_system, ProbePath(root, token), token));
  WEIR_RETURN_IF_ERROR(file_system->SyncFolder(root));
  return token;
}

Status CheckProbe(FileSystem* file_system, const std::string& root, const std::string& token, int64_t timeout_ms,
                  const Clock& clock) {
  if (!IsUuid(token)) return InvalidArgument(fmt::format("probe of {}: expected a UUID, found \"{}\"", root, token));
  std::string path = ProbePath(root, token);
  int64_t deadline = clock.SteadyNanos() + timeout_ms * kNanosPerMilli;
  while (true) {
    Result<std::string> found = file_system->ReadAll(path, token.size());
    if (found.ok() && *found == token) return Status();
    if (clock.SteadyNanos() >= deadline) {
      return FailedPrecondition(fmt::format(
          "{} is not shared by all ranks: expected the probe {} of rank 0, found {}: put `output` on a file "
          "system that every host mounts",
          root, path, found.ok() ? "other content" : found.status().message()));
    }
    clock.SleepNanos(kNapNanos);
  }
}

Status RemoveProbe(FileSystem* file_system, const std::string& root, const std::string& token) {
  return file_system->RemoveAll(ProbePath(root, token));
}

}  // namespace weir
