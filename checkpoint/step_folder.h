// Names in a folder of checkpoints: step-N is committed, step-N.tmp-UUID is being written or removed, step-N.bad-UUID
// was found damaged and set aside, .probe-UUID is a probe (shared_probe.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace weir {

// "step-N".
std::string StepFolderName(int64_t step);
// N of "step-N" (decimal, no leading zeros); nothing for any other name.
std::optional<int64_t> ParseStepFolderName(std::string_view name);

// "step-N.tmp-UUID" and "step-N.bad-UUID", with a new UUID.
Result<std::string> TemporaryFolderName(int64_t step);
Result<std::string> DamagedFolderName(int64_t step);

// Whether a name is one that a run which died may have left: a temporary folder or a probe.
bool IsLeftover(std::string_view name);

// 128 random bits of the system as 8-4-4-4-12 hexadecimal digits.
Result<std::string> MakeUuid();
bool IsUuid(std::string_view text);

inline constexpr std::string_view kProbePrefix = ".probe-";

}  // namespace weir
