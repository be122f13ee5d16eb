#include "checkpoint/step_folder.h"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr std::string_view kStepPrefix = "step-";

// What follows the number in "step-N.KIND-UUID", with "." and "-".
constexpr std::string_view kTemporary = ".tmp-";
constexpr std::string_view kDamaged = ".bad-";

Result<std::string> FolderName(int64_t step, std::string_view kind) {
  WEIR_ASSIGN_OR_RETURN(std::string uuid, MakeUuid());
  return fmt::format("{}{}{}", StepFolderName(step), kind, uuid);
}

}  // namespace

std::string StepFolderName(int64_t step) { return fmt::format("{}{}", kStepPrefix, step); }

std::optional<int64_t> ParseStepFolderName(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::string_view digits = name.substr(kStepPrefix.size());
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  for (char c : digits) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  int64_t step = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return step;
}

Result<std::string> TemporaryFolderName(int64_t step) { return FolderName(step, kTemporary); }

Result<std::string> DamagedFolderName(int64_t step) { return FolderName(step, kDamaged); }

bool IsLeftover(std::string_view name) {
  if (name.starts_with(kProbePrefix)) return IsUuid(name.substr(kProbePrefix.size()));
  size_t kind = name.find(kTemporary);
  if (kind == std::string_view::npos) return false;
  return ParseStepFolderName(name.substr(0, kind)).has_value() && IsUuid(name.substr(kind + kTemporary.size()));
}

Result<std::string> MakeUuid() {
  uint8_t bytes[16];
  if (::getentropy(bytes, sizeof(bytes)) != 0) return ErrnoStatus(errno, "drawing random bytes");
  bytes[6] = (bytes[6] & 0x0f) | 0x40;  // RFC 4122: version 4, random
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  std::string uuid;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    uuid += fmt::format("{:02x}", bytes[i]);
  }
  return uuid;
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

}  // namespace weir
