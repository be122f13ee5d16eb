#include "data_loader/formats/libsvm_line.h"

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/number_text.h"

namespace weir {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view WithoutComment(std::string_view line) { return line.substr(0, line.find('#')); }

// Takes the next word off the line; "" at its end.
std::string_view NextWord(std::string_view* line) {
  const size_t begin = line->find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    *line = {};
    return {};
  }
  line->remove_prefix(begin);
  const std::string_view word = line->substr(0, line->find_first_of(kSpace));
  line->remove_prefix(word.size());
  return word;
}

bool ParseFloat(std::string_view text, float* value) {
  double number = 0;
  if (!ParseNumber(text, &number) || !(std::abs(number) <= std::numeric_limits<float>::max())) return false;
  *value = static_cast<float>(number);
  return true;
}

// Of a pair, up to a colon, which is taken off too. Digits, at most 2^63-1.
bool TakeInteger(std::string_view* pair, int64_t* integer) {
  const size_t colon = pair->find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  uint64_t sum = 0;
  for (const char c : pair->substr(0, colon)) {
    const auto digit = static_cast<uint8_t>(c - '0');
    if (digit > 9 || sum > (static_cast<uint64_t>(INT64_MAX) - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *integer = static_cast<int64_t>(sum);
  pair->remove_prefix(colon + 1);
  return true;
}

const char* AppendPair(std::string_view pair, LibsvmKind kind, LibsvmRows* rows) {
  int64_t field = 0, index = 0;
  float value = 0;
  if (kind == LibsvmKind::kLibffm) {
    if (!TakeInteger(&pair, &field)) return "expected field:index:value, the field an integer from 0 to 2^63-1";
    if (!TakeInteger(&pair, &index)) return "expected field:index:value, the index an integer from 0 to 2^63-1";
    if (!ParseFloat(pair, &value)) return "expected field:index:value, the value a finite number";
    rows->fields.push_back(field);
  } else {
    if (!TakeInteger(&pair, &index)) return "expected index:value, the index an integer from 0 to 2^63-1";
    if (!ParseFloat(pair, &value)) return "expected index:value, the value a finite number";
  }
  rows->indices.push_back(index);
  rows->values.push_back(value);
  return nullptr;
}

}  // namespace

void LibsvmRows::Clear() {
  labels.clear();
  offsets.assign(1, 0);
  fields.clear();
  indices.clear();
  values.clear();
}

bool IsLibsvmRow(std::string_view line) {
  return WithoutComment(line).find_first_not_of(kSpace) != std::string_view::npos;
}

std::optional<LibsvmKind> DetectLibsvmKind(std::string_view line) {
  line = WithoutComment(line);
  NextWord(&line);
  const std::string_view pair = NextWord(&line);
  const size_t colon = pair.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return pair.find(':', colon + 1) == std::string_view::npos ? LibsvmKind::kLibsvm : LibsvmKind::kLibffm;
}

LineFault DecodeLibsvmLine(std::string_view line, LibsvmKind kind, LibsvmRows* rows) {
  line = WithoutComment(line);
  const size_t pairs_before = rows->indices.size();
  std::string_view word = NextWord(&line);
  float label = 0;
  if (!ParseFloat(word, &label)) return {"expected a label that is a finite number", 1, word};
  int field = 1;
  for (word = NextWord(&line); !word.empty(); word = NextWord(&line)) {
    ++field;
    if (const char* reason = AppendPair(word, kind, rows); reason != nullptr) {
      if (kind == LibsvmKind::kLibffm) rows->fields.resize(pairs_before);
      rows->indices.resize(pairs_before);
      rows->values.resize(pairs_before);
      return {reason, field, word};
    }
  }
  rows->labels.push_back(label);
  rows->offsets.push_back(static_cast<int64_t>(rows->indices.size()));
  return {};
}

}  // namespace weir
