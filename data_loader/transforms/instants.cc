#include "data_loader/transforms/instants.h"

#include <string>

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/value_parsing.h>

#include "base/number_text.h"

namespace weir {
namespace {

constexpr int64_t kSecondsMin = -62135596800;  // year 1
constexpr int64_t kSecondsMax = 253402300799;  // the end of year 9999

int64_t PerSecond(TimeConfig::Unit unit) {
  switch (unit) {
    case TimeConfig::SECONDS:
      return 1;
    case TimeConfig::MILLISECONDS:
      return 1'000;
    case TimeConfig::MICROSECONDS:
      return 1'000'000;
    case TimeConfig::NANOSECONDS:
      break;
  }
  return 1'000'000'000;
}

int64_t PerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return PerSecond(TimeConfig::SECONDS);
    case arrow::TimeUnit::MILLI:
      return PerSecond(TimeConfig::MILLISECONDS);
    case arrow::TimeUnit::MICRO:
      return PerSecond(TimeConfig::MICROSECONDS);
    case arrow::TimeUnit::NANO:
      break;
  }
  return PerSecond(TimeConfig::NANOSECONDS);
}

// Entry i from a count of units; rounds towards the past.
void SetCount(int64_t count, int64_t per_second, size_t i, Instants* out) {
  const int64_t rest = count % per_second;
  const int64_t above = rest < 0 ? rest + per_second : rest;
  out->seconds[i] = count / per_second - (rest < 0);
  out->nanos[i] = static_cast<int32_t>(above * (1'000'000'000 / per_second));
}

void SetDays(int64_t days, size_t i, Instants* out) {
  constexpr int64_t kSecondsPerDay = 86'400;
  if (__builtin_mul_overflow(days, kSecondsPerDay, &out->seconds[i])) out->cells[i] = Cell::kBad;
}

Status ReadText(const arrow::Array& values, int64_t per_second, Instants* out) {
  std::vector<std::string_view> texts(values.length());
  WEIR_RETURN_IF_ERROR(ReadStrings(values, texts.data(), out->cells.data()));
  for (size_t i = 0; i < texts.size(); ++i) {
    if (out->cells[i] != Cell::kValue) continue;
    uint64_t bits = 0;
    if (ParseInteger(texts[i], &bits)) {
      const bool above = static_cast<int64_t>(bits) < 0 && !texts[i].starts_with('-');
      if (above) out->cells[i] = Cell::kBad;
      SetCount(static_cast<int64_t>(bits), per_second, i, out);
    } else if (!ParseInstant(texts[i], &out->seconds[i], &out->nanos[i])) {
      out->cells[i] = Cell::kBad;
    }
  }
  return Status();
}

// Of a type of 64-bit counts.
template <typename ArrayType>
void ReadCounts(const arrow::Array& values, int64_t per_second, Instants* out) {
  const auto* raw = static_cast<const ArrayType&>(values).raw_values();
  for (size_t i = 0; i < out->cells.size(); ++i) SetCount(raw[i], per_second, i, out);
}

Status ReadIntegerCounts(const arrow::Array& values, int64_t per_second, Instants* out) {
  std::vector<uint64_t> bits(values.length());
  WEIR_RETURN_IF_ERROR(ReadIntegers(values, bits.data(), out->cells.data()));
  const bool is_unsigned = values.type_id() == arrow::Type::UINT64;
  for (size_t i = 0; i < bits.size(); ++i) {
    if (is_unsigned && bits[i] > INT64_MAX && out->cells[i] == Cell::kValue) out->cells[i] = Cell::kBad;
    SetCount(static_cast<int64_t>(bits[i]), per_second, i, out);
  }
  return Status();
}

Status ReadAny(const arrow::Array& values, TimeConfig::Unit unit, Instants* out) {
  switch (values.type_id()) {
    case arrow::Type::TIMESTAMP: {
      const auto& type = static_cast<const arrow::TimestampType&>(*values.type());
      ReadCounts<arrow::TimestampArray>(values, PerSecond(type.unit()), out);
      return Status();
    }
    case arrow::Type::DATE64:
      ReadCounts<arrow::Date64Array>(values, PerSecond(TimeConfig::MILLISECONDS), out);
      return Status();
    case arrow::Type::DATE32: {
      const auto* days = static_cast<const arrow::Date32Array&>(values).raw_values();
      for (size_t i = 0; i < out->cells.size(); ++i) SetDays(days[i], i, out);
      return Status();
    }
    default:
      return IsStringType(*values.type()) ? ReadText(values, PerSecond(unit), out)
                                          : ReadIntegerCounts(values, PerSecond(unit), out);
  }
}

}  // namespace

bool IsInstantType(const arrow::DataType& type) {
  return type.id() == arrow::Type::TIMESTAMP || type.id() == arrow::Type::DATE32 || type.id() == arrow::Type::DATE64 ||
         IsIntegerType(type) || IsStringType(type);
}

bool ParseInstant(std::string_view text, int64_t* seconds, int32_t* nanos) {
  constexpr size_t kTextMax = 64, kDigitsMax = 9;
  if (text.size() > kTextMax) return false;
  // Arrow's parser is asked for whole seconds, which no year is out of reach of; the fraction is ours.
  std::string whole(text);
  *nanos = 0;
  if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    size_t end = dot + 1;
    int32_t unit = 100'000'000;
    for (; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end, unit /= 10) {
      *nanos += (text[end] - '0') * unit;
    }
    if (end == dot + 1 || end - dot - 1 > kDigitsMax) return false;
    whole.erase(dot, end - dot);
    // A fraction stands behind seconds alone: "HH:MM:SS", which every zone comes after.
    if (dot < 3 || text[dot - 3] != ':' || text.substr(0, dot).find_first_of("Tt ") != dot - 9) return false;
  }
  return arrow::internal::ParseTimestampISO8601(whole.data(), whole.size(), arrow::TimeUnit::SECOND, seconds);
}

Status ReadInstants(const arrow::Array& values, TimeConfig::Unit unit, Instants* out) {
  const auto n = static_cast<size_t>(values.length());
  out->seconds.assign(n, 0);
  out->nanos.assign(n, 0);
  out->cells.assign(n, Cell::kValue);
  WEIR_RETURN_IF_ERROR(ReadAny(values, unit, out));
  for (size_t i = 0; i < n; ++i) {
    if (values.IsNull(static_cast<int64_t>(i))) {
      out->cells[i] = Cell::kMissing;
    } else if (out->seconds[i] < kSecondsMin || out->seconds[i] > kSecondsMax) {
      out->cells[i] = Cell::kBad;
    }
  }
  return Status();
}

}  // namespace weir
