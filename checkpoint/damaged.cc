#include "checkpoint/damaged.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"

namespace weir {
namespace {

bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kNotFound;
}

Status SetAside(FileSystem* file_system, const std::string& root, int64_t step, const Status& why) {
  WEIR_ASSIGN_OR_RETURN(std::string name, DamagedFolderName(step));
  LOG(WARNING) << "setting a damaged checkpoint aside as " << name << ": " << why.ToString();
  return file_system->Rename(JoinPath(root, StepFolderName(step)), JoinPath(root, name));
}

}  // namespace

Status MakeWay(FileSystem* file_system, const std::string& root, int64_t step) {
  const std::string path = JoinPath(root, StepFolderName(step));
  if (!file_system->Exists(path)) return Status();
  const Status whole = VerifyCheckpoint(file_system, path);
  if (whole.ok()) return AlreadyExists(fmt::format("{} is there already, and whole", path));
  if (!IsDamage(whole)) return whole.Wrap(fmt::format("{} is there already", path));
  return SetAside(file_system, root, step, whole);
}

Result<std::string> NewestWholeCheckpoint(FileSystem* file_system, const std::string& root) {
  if (!file_system->Exists(root)) return std::string();
  WEIR_ASSIGN_OR_RETURN(std::vector<std::string> names, file_system->List(root));
  std::vector<int64_t> steps;
  for (const std::string& name : names) {
    if (std::optional<int64_t> step = ParseStepFolderName(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end(), std::greater<>());
  for (const int64_t step : steps) {
    const std::string path = JoinPath(root, StepFolderName(step));
    const Status whole = VerifyCheckpoint(file_system, path);
    if (whole.ok()) return path;
    if (!IsDamage(whole)) return whole.Wrap(path);
    WEIR_RETURN_IF_ERROR(SetAside(file_system, root, step, whole));
  }
  return std::string();
}

}  // namespace weir
