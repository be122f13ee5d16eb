// BadRowCounts: bad rows by file, column and reason, in bounded memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include <google/protobuf/repeated_field.h>

#include "data_loader/columns/bad_rows.h"
#include "proto/checkpoint.pb.h"

namespace weir {

struct BadRowKind {
  std::string file;
  std::string column;  // empty for rows that are broken as a whole
  std::string reason;

  bool operator<(const BadRowKind& other) const {
    return std::tie(file, column, reason) < std::tie(other.file, other.column, other.reason);
  }
};

class BadRowCounts {
 public:
  // Rows of further kinds count as one kind, whose three names are "others".
  static constexpr size_t kKindsMax = 256;

  // The kind the rows now count as. rows: at least 1.
  BadRowKind Add(const BadRowKind& kind, int64_t rows);
  void Add(const google::protobuf::RepeatedPtrField<BadRowCount>& counts);
  void Clear() { *this = BadRowCounts(); }

  int64_t rows() const { return rows_; }
  const std::map<BadRowKind, int64_t>& kinds() const { return kinds_; }
  void Save(google::protobuf::RepeatedPtrField<BadRowCount>* counts) const;

 private:
  std::map<BadRowKind, int64_t> kinds_;
  int64_t rows_ = 0;
};

}  // namespace weir
