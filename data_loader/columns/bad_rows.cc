#include "data_loader/columns/bad_rows.h"

#include <fmt/format.h>

namespace weir {
namespace {

// "a.csv: row 2: column x is NaN: found 'nan'".
std::string Describe(const FileBadRow& row) {
  const BadRow& fault = row.fault;
  const std::string where = fault.column.empty() ? "the row" : "column " + fault.column;
  return fmt::format("{}: row {}: {} {}: found '{}'", *row.path, fault.row + 1, where, fault.reason, fault.value);
}

}  // namespace

Status StoppedByBadRow(const FileBadRow& row) {
  return InvalidArgument(fmt::format(
      "{}; on_bad_row is STOP here: mend the data, or let it be SKIP or DEFAULT (docs/lake.md)", Describe(row)));
}

Status TooManyBadRows(const FileBadRow& row, int64_t rows, int64_t rows_max) {
  return InvalidArgument(
      fmt::format("{}; with it the epoch has {} bad row{}, and data.max_bad_rows is {}: mend the data, or raise "
                  "data.max_bad_rows",
                  Describe(row), rows, rows == 1 ? "" : "s", rows_max));
}

}  // namespace weir
