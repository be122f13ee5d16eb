// SideFiles: the files beside the lake that transforms need: vocabularies and tables that are looked up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/transforms/transform.h"
#include "proto/job.pb.h"

namespace weir {

// A column of a file by the ids of another one. Immutable once made.
struct SideTable {
  ColumnType value_type;
  std::shared_ptr<arrow::Array> values;                   // one a row
  bool integer_ids = false;                               // which of the two has the ids
  std::unordered_map<uint64_t, int64_t> rows_of_integer;  // id -> row
  std::unordered_map<std::string_view, int64_t> rows_of_string;
  std::shared_ptr<arrow::Array> ids;  // what rows_of_string views
};

// Reads each file once and keeps it. One thread; what it gives out is immutable.
class SideFiles {
 public:
  // The one file that the uri names. Errors name it; InvalidArgument when there are several.
  static Result<FileDigest> Digest(const std::string& uri);

  // The lines of a text file, without their ends. InvalidArgument when the file is not UTF-8, has an empty line or one
  // twice; FailedPrecondition when it is not the one of the digest.
  Result<std::shared_ptr<const std::vector<std::string>>> Lines(const std::string& path, const FileDigest& digest);

  // The table for ids of that type. InvalidArgument when the file lacks the columns, has an id twice, or ids of another
  // type; ResourceExhausted beyond config.memory; FailedPrecondition as Lines.
  Result<std::shared_ptr<const SideTable>> Table(const LookupConfig& config, const ColumnType& id_type);

 private:
  std::map<std::string, std::shared_ptr<const std::vector<std::string>>> lines_;
  std::map<std::string, std::shared_ptr<const SideTable>> tables_;
};

// The bytes of the file that the uri names, at most bytes_max (ResourceExhausted beyond).
Result<std::string> ReadSideFile(const std::string& uri, int64_t bytes_max);

// The lines of `text`, as SideFiles::Lines has them; name: for messages.
Result<std::vector<std::string>> SplitLines(const std::string& name, const std::string& text);

}  // namespace weir
