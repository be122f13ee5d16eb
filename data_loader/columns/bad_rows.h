// Rows with a value that cannot be used, found while columns are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

struct BadRow {
  int64_t row = 0;     // in what was extracted
  std::string column;  // empty where the row is broken as a whole
  std::string reason;  // "is NaN", "is no number", ...
  std::string value;   // as text, for the message
  DataConfig::BadRowPolicy policy = DataConfig::SKIP;

  // Whether it is a sample all the same.
  bool is_kept() const { return policy == DataConfig::DEFAULT; }
};

// A bad row of a file of the lake.
struct FileBadRow {
  const std::string* path = nullptr;  // as long as the loader
  BadRow fault;                       // its row is that of the file
  std::string id;                     // with data.ledger, and empty where the row has none
};

// That a row whose policy is STOP was met: InvalidArgument.
Status StoppedByBadRow(const FileBadRow& row);
// That an epoch has `rows` bad rows, more than rows_max: InvalidArgument, which names one of them.
Status TooManyBadRows(const FileBadRow& row, int64_t rows, int64_t rows_max);

}  // namespace weir
