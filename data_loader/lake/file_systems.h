// Arrow's file systems for remote schemes: s3, gs and hdfs.
#pragma once

#include <memory>

#include "base/status.h"
#include "data_loader/lake/lake_uri.h"
#include "data_loader/lake/storage.h"

namespace weir {

// One for main(), before anything reads the lake: at its end it lets Arrow end what the SDK of S3 keeps for the whole
// process (threads, connections), which must be over before main is. No storage may be used or opened afterwards, and
// every one must be gone. This state is the SDK's: Weir has none of its own that outlives a Storage.
class FileSystemsScope {
 public:
  FileSystemsScope() = default;
  ~FileSystemsScope();
  FileSystemsScope(const FileSystemsScope&) = delete;
  FileSystemsScope& operator=(const FileSystemsScope&) = delete;
};

// The storage of an s3, gs or hdfs uri; its path does not count. It tries everything once (see WithRetries). Arrow's
// library for S3 is loaded when the first s3 uri comes, since loading it costs 30 ms and 3 MB in each process.
//   s3: endpoint, region and credentials are those of the AWS tools (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
//     AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID..., AWS_PROFILE and the files in ~/.aws, the instance's role), or of the
//     uri's query, in Arrow's words: endpoint_override, scheme, region.
//   gs: the credentials of Google's tools, or "anonymous@"; endpoint_override and scheme in the query.
//   hdfs: Hadoop's libhdfs, which must be there at run time. FailedPrecondition when it cannot be loaded.
// InvalidArgument for a uri without a bucket, or one that Arrow refuses.
Result<std::shared_ptr<const Storage>> OpenFileSystem(const LakeUri& uri);

}  // namespace weir
