// One JSON object on one line, from named values: metrics.jsonl, and the last line of `weir train`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir {

// monostate is null, as are doubles that are not finite.
using JsonValue = std::variant<std::monostate, bool, int64_t, double, std::string>;

struct JsonField {
  std::string name;
  JsonValue value;
};

inline JsonValue JsonOptional(const std::optional<double>& value) {
  return value ? JsonValue(*value) : JsonValue(std::monostate());
}

// `{"step": 7, "auc": null}`: no newline; doubles read back to the same bits.
std::string JsonLine(std::span<const JsonField> fields);

// With quotes and escapes; bytes that are no UTF-8 become U+FFFD each.
std::string JsonString(std::string_view text);

}  // namespace weir
