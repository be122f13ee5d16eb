#include "proto/memory_size.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  int64_t bytes;
};

constexpr Unit kUnits[] = {{"TiB", int64_t{1} << 40},
                           {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20},
                           {"KiB", int64_t{1} << 10},
                           {"B", 1}};
constexpr double kBytesMax = 0x1p53;

}  // namespace

Result<int64_t> ParseMemory(std::string_view text) {
  const auto wrong = [&](std::string_view expected) {
    return InvalidArgument(fmt::format("is \"{}\", expected {}", text, expected));
  };
  double number = 0;
  const char* end = text.data() + text.size();
  // A sign, "inf" or an exponent is no amount of memory.
  const bool digit = !text.empty() && text[0] >= '0' && text[0] <= '9';
  const auto [after, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  std::string_view rest(after, static_cast<size_t>(end - after));
  if (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  for (const Unit& unit : kUnits) {
    if (!digit || error != std::errc() || rest != unit.name) continue;
    const double bytes = std::floor(number * static_cast<double>(unit.bytes));
    if (bytes < 1) return wrong("at least 1B");
    if (bytes > kBytesMax) return wrong("at most 8192TiB");
    return static_cast<int64_t>(bytes);
  }
  return wrong("a number with B, KiB, MiB, GiB or TiB, like 2GiB");
}

std::string FormatMemory(int64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes < unit.bytes && unit.bytes > 1) continue;
    if (bytes % unit.bytes == 0) return fmt::format("{}{}", bytes / unit.bytes, unit.name);
    return fmt::format("{:.2f}{}", static_cast<double>(bytes) / static_cast<double>(unit.bytes), unit.name);
  }
  return "";
}

}  // namespace weir
