#include "data_loader/formats/criteo_line.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

constexpr int kHexDigitsMax = 8;
// Enough for any integer of 32 bits with zeros in front, few enough for a sum of 64 bits.
constexpr int kDigitsMax = 18;

// The value of each hexadecimal digit, -1 for all other bytes.
constexpr std::array<int8_t, 256> kHexValues = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 10; ++i) values['0' + i] = static_cast<int8_t>(i);
  for (int i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = static_cast<int8_t>(10 + i);
  return values;
}();

// Each Take reads the field at *at up to the tab or the line's end and leaves *at there; false when it is no such
// field.
bool AtFieldEnd(const char* at, const char* end) { return at == end || *at == '\t'; }

bool TakeInteger(const char** at, const char* end, int32_t* value) {
  const char* digit = *at;
  const bool negative = digit != end && *digit == '-';
  if (negative) ++digit;
  const char* const first = digit;
  int64_t sum = 0;
  for (; digit != end && digit - first < kDigitsMax; ++digit) {
    const auto next = static_cast<uint8_t>(*digit - '0');
    if (next > 9) break;
    sum = sum * 10 + next;
  }
  *at = digit;
  if (digit == first || !AtFieldEnd(digit, end)) return false;
  if (negative) sum = -sum;
  *value = static_cast<int32_t>(sum);
  return *value == sum;
}

bool TakeId(const char** at, const char* end, uint32_t* value) {
  const char* digit = *at;
  const char* const last = digit + std::min<int64_t>(end - digit, kHexDigitsMax);
  uint32_t bits = 0;
  for (; digit != last; ++digit) {
    const int8_t next = kHexValues[static_cast<uint8_t>(*digit)];
    if (next < 0) break;
    bits = bits << 4 | static_cast<uint32_t>(next);
  }
  *value = bits;
  const bool whole = digit != *at && AtFieldEnd(digit, end);
  *at = digit;
  return whole;
}

std::string_view Field(std::string_view line, int number) {
  for (; number > 1; --number) line.remove_prefix(line.find('\t') + 1);
  return line.substr(0, line.find('\t'));
}

// The fault of a line whose field `number` (from 1) could not be taken for the reason given.
LineFault Fault(std::string_view line, bool labelled, int number, const char* reason) {
  const auto fields = static_cast<int>(std::count(line.begin(), line.end(), '\t')) + 1;
  if (fields != kCriteoIntegers + kCriteoIds + (labelled ? 1 : 0)) {
    return {labelled ? "expected 40 fields: label, 13 integers, 26 ids" : "expected 39 fields: 13 integers, 26 ids",
            fields,
            {},
            /*is_of_line=*/true};
  }
  return {reason, number, Field(line, number)};
}

}  // namespace

LineFault DecodeCriteoLine(std::string_view line, bool labelled, CriteoRow* row) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  *row = {};
  const char* at = line.data();
  const char* const end = at + line.size();
  int number = 0;
  if (labelled) {
    if (!TakeInteger(&at, end, &row->label) || row->label < 0 || row->label > 1) {
      return Fault(line, labelled, 1, "expected a label, 0 or 1");
    }
    ++number;
  }
  for (int i = 0; i < kCriteoIntegers + kCriteoIds; ++i) {
    // Between two fields stands a tab; where the line has ended, fields are missing.
    if (number > 0) {
      if (at == end) return Fault(line, labelled, number, "");
      ++at;
    }
    ++number;
    if (AtFieldEnd(at, end)) continue;
    row->present |= uint64_t{1} << i;
    if (i < kCriteoIntegers) {
      if (!TakeInteger(&at, end, &row->integers[i])) {
        return Fault(line, labelled, number, "expected an integer of 32 bits or nothing");
      }
    } else if (!TakeId(&at, end, &row->ids[i - kCriteoIntegers])) {
      return Fault(line, labelled, number, "expected an id of up to 8 hexadecimal digits or nothing");
    }
  }
  if (at != end) return Fault(line, labelled, number, "");
  return {};
}

}  // namespace weir
