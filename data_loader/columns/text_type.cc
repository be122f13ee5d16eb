#include "data_loader/columns/text_type.h"

#include "base/number_text.h"

namespace weir {
namespace {

// "007", "+7" and "-0": an integer is printed otherwise.
bool IsPadded(std::string_view text) {
  if (text.starts_with('+')) return true;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (!text.starts_with('0')) return false;
  return text.size() == 1 ? negative : text[1] >= '0' && text[1] <= '9';
}

}  // namespace

void TextType::See(std::string_view value) {
  any_ = true;
  if (!all_numbers_) return;
  if (IsPadded(value)) {
    all_integers_ = all_numbers_ = false;
    return;
  }
  uint64_t bits = 0;
  if (all_integers_) {
    if (ParseInteger(value, &bits)) {
      if (value.starts_with('-'))
        negative_ = true;
      else if (bits > static_cast<uint64_t>(INT64_MAX))
        above_ = true;
      return;
    }
    all_integers_ = false;
  }
  double number = 0;
  all_numbers_ = ParseNumber(value, &number);
}

TextType::Kind TextType::kind() const {
  if (!any_) return Kind::kNothing;
  if (!all_numbers_) return Kind::kString;
  if (!all_integers_) return Kind::kNumber;
  if (!above_) return Kind::kInteger;
  // Both at once fit no integer of 64 bits; a double would blur them.
  return negative_ ? Kind::kString : Kind::kUnsigned;
}

const char* TextTypeName(TextType::Kind kind) {
  switch (kind) {
    case TextType::Kind::kNothing:
      return "none";
    case TextType::Kind::kInteger:
    case TextType::Kind::kUnsigned:
      return "integer";
    case TextType::Kind::kNumber:
      return "number";
    case TextType::Kind::kString:
      return "string";
  }
  return "string";
}

}  // namespace weir
