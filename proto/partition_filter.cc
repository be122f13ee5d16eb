#include "proto/partition_filter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <compare>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <typename Number>
std::optional<Number> WholeNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Integers first: doubles do not tell great ones apart.
std::strong_ordering Compare(const std::string& a, const std::string& b) {
  const auto integer_a = WholeNumber<int64_t>(a), integer_b = WholeNumber<int64_t>(b);
  if (integer_a && integer_b) return *integer_a <=> *integer_b;
  const auto number_a = WholeNumber<double>(a), number_b = WholeNumber<double>(b);
  if (!number_a || !number_b || !std::isfinite(*number_a) || !std::isfinite(*number_b)) return a <=> b;
  if (*number_a == *number_b) return std::strong_ordering::equal;
  return *number_a < *number_b ? std::strong_ordering::less : std::strong_ordering::greater;
}

Status Malformed(std::string_view text, std::string_view why) {
  return InvalidArgument(fmt::format(
      "expected a column, one of = != < <= > >= in, and a value, as in \"dt >= 2026-11-01\"; found \"{}\": {}", text,
      why));
}

// What stands at the start of `text`: an operator and its length; 0 for none.
std::pair<PartitionFilter::Operator, size_t> OperatorAt(std::string_view text) {
  using Operator = PartitionFilter::Operator;
  constexpr std::pair<std::string_view, Operator> kSigns[] = {
      {"!=", Operator::kNotEqual}, {"<=", Operator::kLessOrEqual}, {">=", Operator::kGreaterOrEqual},
      {"<", Operator::kLess},      {">", Operator::kGreater},      {"=", Operator::kEqual}};
  for (const auto& [sign, op] : kSigns) {
    if (text.starts_with(sign)) return {op, sign.size()};
  }
  if (text.starts_with("in") && text.size() > 2 && (kSpace.find(text[2]) != kSpace.npos || text[2] == '(')) {
    return {Operator::kIn, 2};
  }
  return {Operator::kEqual, 0};
}

// The value at the start of *text, up to one of `ends` or the end; *text keeps what follows. False for an open quote.
bool TakeValue(std::string_view* text, std::string_view ends, std::string* value) {
  const char quote = text->front();
  if (quote == '"' || quote == '\'') {
    const size_t close = text->find(quote, 1);
    if (close == std::string_view::npos) return false;
    *value = text->substr(1, close - 1);
    *text = Trimmed(text->substr(close + 1));
    return true;
  }
  const size_t end = std::min(text->find_first_of(ends), text->size());
  *value = Trimmed(text->substr(0, end));
  *text = Trimmed(text->substr(end));
  return true;
}

Status TakeList(std::string_view whole, std::string_view rest, std::vector<std::string>* values) {
  if (rest.starts_with('(')) {
    if (!rest.ends_with(')')) return Malformed(whole, "a bracket is not closed");
    rest = Trimmed(rest.substr(1, rest.size() - 2));
  }
  while (!rest.empty()) {
    if (rest.starts_with(',')) return Malformed(whole, "a value is missing");
    std::string value;
    if (!TakeValue(&rest, ", \t\r\n", &value)) return Malformed(whole, "a quote is not closed");
    values->push_back(std::move(value));
    if (!rest.starts_with(',')) continue;
    rest = Trimmed(rest.substr(1));
    if (rest.empty()) return Malformed(whole, "a value is missing");
  }
  return values->empty() ? Malformed(whole, "a value is missing") : Status();
}

}  // namespace

bool PartitionFilter::Matches(const std::optional<std::string>& value) const {
  if (!value) return false;
  if (op == Operator::kIn) {
    return std::any_of(values.begin(), values.end(),
                       [&](const std::string& wanted) { return Compare(*value, wanted) == 0; });
  }
  const std::strong_ordering order = Compare(*value, values.front());
  switch (op) {
    case Operator::kEqual:
      return order == 0;
    case Operator::kNotEqual:
      return order != 0;
    case Operator::kLess:
      return order < 0;
    case Operator::kLessOrEqual:
      return order <= 0;
    case Operator::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

Result<PartitionFilter> ParsePartitionFilter(std::string_view text) {
  PartitionFilter filter;
  filter.text = text;
  std::string_view rest = Trimmed(text);
  const size_t name_end = std::min(rest.find_first_of(" \t\r\n=!<>"), rest.size());
  filter.column = rest.substr(0, name_end);
  if (filter.column.empty()) return Malformed(text, "the column is missing");
  rest = Trimmed(rest.substr(name_end));
  const auto [op, length] = OperatorAt(rest);
  if (length == 0) return Malformed(text, "there is no operator after the column");
  filter.op = op;
  rest = Trimmed(rest.substr(length));
  if (op == PartitionFilter::Operator::kIn) {
    WEIR_RETURN_IF_ERROR(TakeList(text, rest, &filter.values));
    return filter;
  }
  if (rest.empty()) return Malformed(text, "a value is missing");
  // "==" and "=>" are no operators, and hardly ever a value.
  if (std::string_view("=!<>").find(rest.front()) != std::string_view::npos) {
    return Malformed(text, "there is no such operator (a value that begins so stands in quotes)");
  }
  std::string value;
  if (!TakeValue(&rest, "", &value)) return Malformed(text, "a quote is not closed");
  if (!rest.empty()) return Malformed(text, "something follows the closed quote");
  filter.values = {std::move(value)};
  return filter;
}

}  // namespace weir
