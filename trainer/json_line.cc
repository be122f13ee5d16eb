#include "trainer/json_line.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace weir {
namespace {

struct ValueWriter {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }
  std::string operator()(const std::string& value) const { return JsonString(value); }
};

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

std::string JsonLine(std::span<const JsonField> fields) {
  std::string out = "{";
  for (const JsonField& field : fields) {
    if (out.size() > 1) out += ", ";
    out += JsonString(field.name);
    out += ": ";
    out += std::visit(ValueWriter(), field.value);
  }
  out += '}';
  return out;
}

}  // namespace weir
