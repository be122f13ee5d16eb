// CriteoFiles: Parquet of Criteo's shape, made up by the bench: a label, 13 numbers, 26 ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/util/type_fwd.h>

#include "proto/job.pb.h"

namespace weir::bench {

// The columns: label int32, I1..I13 float32, C1..C26 int64.
inline constexpr int kCriteoNumbers = 13;
inline constexpr int kCriteoIds = 26;

struct CriteoFormat {
  arrow::Compression::type codec = arrow::Compression::ZSTD;
  bool dictionary = true;  // else plain
};

// Writes `rows` rows, from row `first` of an endless run of them, in row groups of 65,536 with page checksums. Ids
// follow a Zipf law of exponent 1.05 over the cardinalities of the Kaggle set, 0 the most frequent. In memory: one
// row group.
void WriteCriteoFile(const std::string& path, int64_t first, int64_t rows, const CriteoFormat& format);

// Writes one row group again and again, until the file has `bytes` bytes or a row group more.
void WriteCriteoFileOfBytes(const std::string& path, int64_t bytes, const CriteoFormat& format);

// A job over these columns: all numbers as they are, all ids hashed.
Job CriteoJob();

}  // namespace weir::bench
