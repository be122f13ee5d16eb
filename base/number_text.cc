#include "base/number_text.h"

#include <charconv>

namespace weir {
namespace {

// from_chars takes no "+"; "+-5" is no number.
bool DropPlus(std::string_view* text) {
  if (!text->starts_with('+')) return true;
  text->remove_prefix(1);
  return !text->starts_with('-');
}

}  // namespace

bool ParseNumber(std::string_view text, double* value) {
  if (!DropPlus(&text)) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseInteger(std::string_view text, uint64_t* bits) {
  if (!DropPlus(&text)) return false;
  const char* last = text.data() + text.size();
  if (text.starts_with('-')) {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), last, value);
    *bits = static_cast<uint64_t>(value);
    return error == std::errc() && end == last;
  }
  auto [end, error] = std::from_chars(text.data(), last, *bits);
  return error == std::errc() && end == last;
}

}  // namespace weir
