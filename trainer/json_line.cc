#include "trainer/json_line.h"

#include <algorithm>
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

// Bytes of the UTF-8 sequence (RFC 3629) that `text` begins with; 0 when it begins with none.
size_t SequenceBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                      : lead >= 0xe0 && lead <= 0xef ? 3
                      : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                     : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f)) return 0;
  if ((lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f)) return 0;
  return size;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t size = SequenceBytes(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[0];
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else if (size == 0) {
      out += "\\ufffd";
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<size_t>(1, size));
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
