// Lake: which files a source names, wherever they lie.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/clock.h"
#include "base/status.h"
#include "data_loader/lake/partitions.h"
#include "data_loader/lake/storage.h"
#include "proto/job.pb.h"

namespace weir {

struct LakeEntry {
  std::string path;  // local, or a URI without user, password and query
  uint64_t bytes = 0;
  int64_t modified_ns = 0;                 // since 1970, as its storage says; 0 if it does not
  std::string version;                     // what else its storage tells it apart by (an ETag), or empty
  std::vector<PartitionValue> partitions;  // what its folders say of its rows
  std::shared_ptr<const Storage> storage;  // never null in a listed entry

  // Whether reads cross a network: few long ones are then better than many short ones.
  bool is_remote() const { return storage != nullptr && storage->is_remote(); }
};

// How remote storage is used.
struct LakeOptions {
  int64_t retry_ns = 60 * kNanosPerSecond;  // see RetryPolicy

  // data.retry_s, at most half of cluster.progress_s: who waits for the data must see the error.
  static LakeOptions Of(const Job& job);
};

// The files of `source`: files as named, folders with all files in and below them (names that begin with "." or "_" are
// skipped), globs with all they match (folders among the matches too), less the partitions that source.filter leaves
// out. The entries of source.uri keep their order, the files of one are sorted by path; a file named twice is read
// twice. Local paths ("file://" is dropped), s3, gs and hdfs uris, http and https uris of single files: docs/lake.md.
// NotFound names what matched nothing; InvalidArgument for a source without uri or with a bad filter; Unimplemented for
// other schemes and for folders and globs of web servers; Unavailable when the storage did not answer within the
// options' time.
Result<std::vector<LakeEntry>> ListFiles(const SourceConfig& source, const LakeOptions& options = {});

// The bytes of a file that was listed. Reads may come from any thread. Errors name the path; DataLoss when it is no
// longer the file that was listed (see the storages), here or, for http, as it is read.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenEntry(const LakeEntry& entry);

// How `path` is written: `format`, or for AUTO what its ending says (data.format in job.proto lists them), a .gz after
// it aside.
DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format);

}  // namespace weir
