#include "launch/report/json_writer.h"

#include <cmath>

#include <fmt/format.h>

#include "trainer/json_line.h"

namespace weir {

void JsonWriter::Separate() {
  if (needs_comma_) text_ += ", ";
  needs_comma_ = true;
}

void JsonWriter::Begin(char bracket) {
  Separate();
  text_ += bracket;
  needs_comma_ = false;
}

void JsonWriter::End(char bracket) {
  text_ += bracket;
  needs_comma_ = true;
}

void JsonWriter::Name(std::string_view name) {
  Separate();
  text_ += JsonString(name) + ": ";
  needs_comma_ = false;
}

void JsonWriter::Text(std::string_view value) {
  Separate();
  text_ += JsonString(value);
}

void JsonWriter::Integer(int64_t value) {
  Separate();
  text_ += fmt::format("{}", value);
}

void JsonWriter::Unsigned(uint64_t value) {
  Separate();
  text_ += fmt::format("{}", value);
}

void JsonWriter::Number(double value) {
  if (!std::isfinite(value)) return Null();
  Separate();
  text_ += fmt::format("{}", value);
}

void JsonWriter::Null() {
  Separate();
  text_ += "null";
}

}  // namespace weir
