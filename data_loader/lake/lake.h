// Lake: which files a source names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

struct LakeEntry {
  std::string path;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // since 1970, as its storage says
};

// The files of `source`: files as named, folders with all files in and below them (names that begin with "." or "_" are
// skipped), globs with all they match (folders among the matches too). The entries of source.uri keep their order, the
// files of one are sorted by path; a file named twice is read twice. Local paths only ("file://" is dropped). NotFound
// names what matched nothing; InvalidArgument for a source without uri; Unimplemented for other schemes.
Result<std::vector<LakeEntry>> ListFiles(const SourceConfig& source);

// The bytes of a file that was listed. Reads may come from any thread. Errors name the path; DataLoss when it is no
// longer the file that was listed: its size or the time of its last change is another.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenEntry(const LakeEntry& entry);

// How `path` is written: `format`, or for AUTO what its ending says (.parquet and .pq are Parquet, all else CSV).
DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format);

}  // namespace weir
