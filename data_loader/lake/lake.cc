#include "data_loader/lake/lake.h"

#include <algorithm>
#include <map>
#include <string_view>

#include <arrow/io/interfaces.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include "data_loader/lake/file_systems.h"
#include "data_loader/lake/http_storage.h"
#include "data_loader/lake/lake_uri.h"
#include "data_loader/lake/local_storage.h"
#include "data_loader/lake/retry.h"
#include "data_loader/lake/walk.h"

namespace weir {
namespace {

// Of files that are not CSV.
struct FormatEnding {
  std::string_view ending;
  DataConfig::FileFormat format;
};
constexpr FormatEnding kFormatEndings[] = {
    {".parquet", DataConfig::PARQUET},   {".pq", DataConfig::PARQUET},         {".arrow", DataConfig::ARROW},
    {".arrows", DataConfig::ARROW},      {".feather", DataConfig::ARROW},      {".ipc", DataConfig::ARROW},
    {".tfrecord", DataConfig::TFRECORD}, {".tfrecords", DataConfig::TFRECORD}, {".libsvm", DataConfig::LIBSVM},
    {".svm", DataConfig::LIBSVM},        {".svmlight", DataConfig::LIBSVM},    {".libffm", DataConfig::LIBFFM},
    {".ffm", DataConfig::LIBFFM}};

bool EndsWith(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

bool IsWeb(const LakeUri& uri) { return uri.scheme == "http" || uri.scheme == "https"; }

Result<std::shared_ptr<const Storage>> OpenWeb(const LakeUri& uri) {
  if (uri.path.find_first_of("*[") != std::string::npos || uri.path.ends_with('/') || uri.path.empty()) {
    return Unimplemented(
        fmt::format("{}: expected the uri of one file: web servers have no folders that can be listed: name each file",
                    uri.Shown()));
  }
  return std::shared_ptr<const Storage>(std::make_shared<HttpStorage>(uri));
}

// The storages of one source: uris of one bucket share one, and its connections.
class Storages {
 public:
  explicit Storages(const LakeOptions& options) : policy_{.retry_ns = options.retry_ns} {}

  Result<std::shared_ptr<const Storage>> Open(const LakeUri& uri) {
    const std::string place =
        fmt::format("{}://{}@{}{}?{}", uri.scheme, uri.user, uri.authority, IsWeb(uri) ? uri.path : "", uri.query);
    if (const auto known = opened_.find(place); known != opened_.end()) return known->second;
    WEIR_ASSIGN_OR_RETURN(auto storage, Make(uri));
    if (storage->is_remote()) storage = WithRetries(std::move(storage), policy_);
    return opened_[place] = std::move(storage);
  }

 private:
  static Result<std::shared_ptr<const Storage>> Make(const LakeUri& uri) {
    if (uri.scheme.empty()) return std::shared_ptr<const Storage>(std::make_shared<LocalStorage>());
    if (IsWeb(uri)) return OpenWeb(uri);
    if (uri.scheme == "s3" || uri.scheme == "gs" || uri.scheme == "hdfs") return OpenFileSystem(uri);
    return Unimplemented(fmt::format(
        "{}: expected a path, or a uri of s3, gs, hdfs, http or https: nothing reads \"{}\"", uri.Shown(), uri.scheme));
  }

  const RetryPolicy policy_;
  std::map<std::string, std::shared_ptr<const Storage>> opened_;
};

// Appends the files of one uri.
Status ListUri(const LakeUri& uri, const PartitionFilters& filters, Storages* storages,
               std::vector<LakeEntry>* entries) {
  WEIR_ASSIGN_OR_RETURN(const std::shared_ptr<const Storage> storage, storages->Open(uri));
  const std::string path = uri.Shown();
  const size_t scheme_bytes = path.size() - uri.path.size();
  WEIR_ASSIGN_OR_RETURN(std::vector<StoredFile> files, FindFiles(*storage, path, scheme_bytes, filters));
  for (StoredFile& file : files) {
    LakeEntry entry;
    entry.bytes = file.bytes;
    entry.modified_ns = file.modified_ns;
    entry.version = std::move(file.version);
    entry.partitions = PartitionsOf(std::string_view(file.path).substr(scheme_bytes));
    entry.path = std::move(file.path);
    entry.storage = storage;
    entries->push_back(std::move(entry));
  }
  return Status();
}

}  // namespace

LakeOptions LakeOptions::Of(const Job& job) {
  const double retry_s = std::min(job.data().retry_s(), job.cluster().progress_s() / 2);
  return {.retry_ns = static_cast<int64_t>(retry_s * kNanosPerSecond)};
}

Result<std::vector<LakeEntry>> ListFiles(const SourceConfig& source, const LakeOptions& options) {
  if (source.uri_size() == 0) {
    return InvalidArgument(
        "the data source has no uri: expected files, folders or globs, as in data.train.uri=logs/*.parquet");
  }
  WEIR_ASSIGN_OR_RETURN(const PartitionFilters filters, PartitionFilters::Parse(source.filter()));
  Storages storages(options);
  std::vector<LakeEntry> entries;
  for (const std::string& uri : source.uri()) {
    WEIR_RETURN_IF_ERROR(ListUri(ParseLakeUri(uri), filters, &storages, &entries));
  }
  return entries;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenEntry(const LakeEntry& entry) {
  CHECK(entry.storage != nullptr) << entry.path << " was not listed";
  StoredFile file;
  file.path = entry.path;
  file.bytes = entry.bytes;
  file.modified_ns = entry.modified_ns;
  file.version = entry.version;
  return entry.storage->Open(file);
}

DataConfig::FileFormat FormatOf(const std::string& path, DataConfig::FileFormat format) {
  if (format != DataConfig::AUTO) return format;
  const std::string packed = EndsWith(path, ".gz") ? path.substr(0, path.size() - 3) : path;
  for (const FormatEnding& known : kFormatEndings) {
    if (EndsWith(packed, known.ending)) return known.format;
  }
  return DataConfig::CSV;
}

}  // namespace weir
