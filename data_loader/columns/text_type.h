// TextType: what the values of a column without a type of its own (CSV) are, all taken together.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

// One thread.
class TextType {
 public:
  enum class Kind {
    kNothing,   // no value came
    kInteger,   // within 64 bits with a sign
    kUnsigned,  // within 64 bits without one, and one above 2^63-1
    kNumber,    // finite or not
    kString,
  };

  // One more value. A column with "007" or "+7" holds strings: as a number it would not be what it was.
  void See(std::string_view value);

  Kind kind() const;

 private:
  bool any_ = false;
  bool all_integers_ = true;
  bool all_numbers_ = true;
  bool negative_ = false;  // an integer is below 0
  bool above_ = false;     // an integer is above 2^63-1
};

// "none", "integer" (both kinds), "number", "string".
const char* TextTypeName(TextType::Kind kind);

}  // namespace weir
