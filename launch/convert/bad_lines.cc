#include "launch/convert/bad_lines.h"

#include <fmt/format.h>

namespace weir {
namespace {

// Bytes of a field that a message shows, control characters as dots.
std::string Shown(std::string_view text) {
  constexpr size_t kShownBytes = 64;
  std::string shown(text.substr(0, kShownBytes));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '.';
  }
  return shown;
}

}  // namespace

Status BadLines::Add(const std::string& path, int64_t line_number, const LineFault& fault) {
  ++count_;
  ++by_reason_[fault.reason];
  if (count_ <= max_) return Status();
  // A fault of the whole line has no text of a field, but says how many fields there are.
  const std::string place = fmt::format("{}: line {}", path, line_number);
  const std::string what = fault.is_of_line ? fmt::format("{}: {}, found {}", place, fault.reason, fault.field)
                                            : fmt::format("{}, field {}: {}, found '{}'", place, fault.field,
                                                          fault.reason, Shown(fault.text));
  const std::string limit = max_ == 0 ? std::string("--max_bad_rows lets some pass")
                                      : fmt::format("this is bad line {}, and --max_bad_rows is {}", count_, max_);
  return InvalidArgument(fmt::format("{} ({})", what, limit));
}

}  // namespace weir
