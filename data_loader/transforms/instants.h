// Instants: a column of times, of whatever type, as seconds since 1970 (UTC) and nanoseconds.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/cells.h"
#include "proto/job.pb.h"

namespace weir {

// One entry for each value; under kValue within the years 1 to 9999.
struct Instants {
  std::vector<int64_t> seconds;
  std::vector<int32_t> nanos;  // [0, 1e9), to be added
  std::vector<Cell> cells;     // kBad: no time, or one of no such year
};

// What types ReadInstants takes, for messages.
inline constexpr char kInstantTypes[] = "a timestamp, a date, integers or strings";

// Of a value that is kBad.
inline constexpr char kNoInstant[] = "is no time between the years 1 and 9999";

// Timestamps, dates, integers (which count `unit`) and strings: integers, or times as in ISO 8601.
bool IsInstantType(const arrow::DataType& type);
Status ReadInstants(const arrow::Array& values, TimeConfig::Unit unit, Instants* out);

// "2026-11-22", "2026-11-22T07:12:00.5Z", "2026-11-22 07:12:00+01:00"; UTC without a zone. False for anything else.
bool ParseInstant(std::string_view text, int64_t* seconds, int32_t* nanos);

}  // namespace weir
