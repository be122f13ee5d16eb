// JsonWriter: nested JSON, written front to back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// One thread. The caller balances Begin and End and gives each member of an object its name first.
class JsonWriter {
 public:
  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }
  void Name(std::string_view name);

  void Text(std::string_view value);
  void Integer(int64_t value);
  void Unsigned(uint64_t value);
  // null where it is not finite; else read back to the same bits.
  void Number(double value);
  void Null();

  // A member of an object.
  void Text(std::string_view name, std::string_view value) { Name(name), Text(value); }
  void Integer(std::string_view name, int64_t value) { Name(name), Integer(value); }
  void Number(std::string_view name, double value) { Name(name), Number(value); }

  // All that was written.
  const std::string& text() const { return text_; }

 private:
  void Begin(char bracket);
  void End(char bracket);
  void Separate();

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace weir
