// What a manifest says in a few numbers: for lists that people read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/checkpoint.pb.h"

namespace weir {

struct CheckpointSummary {
  int64_t step = 0;
  int64_t created_unix_s = 0;
  int tables = 0;
  uint64_t rows = 0;              // over all tables
  uint64_t bytes = 0;             // of all files but MANIFEST
  int files = 0;                  // the same
  int64_t epoch = 0;              // where the loader stands
  int64_t samples = 0;            // trained in that epoch
  bool complete = false;          // the run had ended by itself
  std::optional<double> logloss;  // of the evaluation at this step
  std::optional<double> auc;
};

CheckpointSummary Summarize(const Manifest& manifest);

// One line: "step 200  2024-05-01T12:00:00Z  12345 rows in 8 tables  1.2 MiB in 9 files  auc 0.9012  complete".
std::string ToLine(const CheckpointSummary& summary);

}  // namespace weir
