// Lake: which files a source names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

struct LakeEntry {
  std::string path;
  uint64_t bytes = 0;
};

// The files of `source`: files as named, folders with all files in and below them (names that begin with "." or "_" are
// skipped), globs with all they match (folders among the matches too). The entries of source.uri keep their order, the
// files of one are sorted by path; a file named twice is read twice. Local paths only ("file://" is dropped). NotFound
// names what matched nothing; InvalidArgument for a source without uri; Unimplemented for other schemes.
Result<std::vector<LakeEntry>> ListFiles(const SourceConfig& source);

// How `path` is written: `format`, or for AUTO what its ending says (.parquet and .pq are Parquet, all else CSV).
DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format);

}  // namespace weir
