#include "data_loader/lake/file_systems.h"

#include <any>
#include <cstdlib>
#include <string>
#include <utility>

#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/util/config.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/arrow_storage.h"

namespace weir {
namespace {

// Found beside libarrow, by the RUNPATH of that library.
constexpr char kS3Library[] = "libarrow_s3.so." ARROW_SO_VERSION;

class TryOnce : public arrow::fs::S3RetryStrategy {
 public:
  bool ShouldRetry(const AWSErrorDetail&, int64_t) override { return false; }
  int64_t CalculateDelayBeforeNextRetry(const AWSErrorDetail&, int64_t) override { return 0; }
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void AddQueryItem(std::string_view name, std::string_view value, std::string* query) {
  if (!query->empty()) *query += '&';
  *query += fmt::format("{}={}", name, value);
}

// The region, where the uri does not say it: that of the environment; for an endpoint of one's own, which has none,
// AWS's first. Without either Arrow asks AWS for the bucket's.
void AddRegion(std::string* query) {
  if (!QueryItem(*query, "region").empty()) return;
  std::string region = Environment("AWS_REGION");
  if (region.empty()) region = Environment("AWS_DEFAULT_REGION");
  const bool own_endpoint = !QueryItem(*query, "endpoint_override").empty() ||
                            !Environment("AWS_ENDPOINT_URL_S3").empty() || !Environment("AWS_ENDPOINT_URL").empty();
  if (region.empty() && own_endpoint) region = "us-east-1";
  if (!region.empty()) AddQueryItem("region", region, query);
}

std::string Advice(std::string_view scheme) {
  if (scheme == "s3") {
    return "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), that they may list "
           "the "
           "bucket and read its objects, and the region (AWS_REGION)";
  }
  if (scheme == "gs") {
    return "check the credentials (GOOGLE_APPLICATION_CREDENTIALS), and that they may list the bucket and read its "
           "objects";
  }
  return "check the user that the uri names (hdfs://USER@HOST:PORT/PATH) and what it may read";
}

// full: the uri as Arrow was given it, with what is secret; Arrow's messages quote it.
Status Refused(const LakeUri& uri, const std::string& full, const arrow::Status& status) {
  const std::string base = uri.scheme + "://" + uri.authority;
  std::string message = status.message();
  for (size_t at; (at = message.find(full)) != std::string::npos;) message.replace(at, full.size(), base);
  for (const std::string& secret : {uri.user, uri.query}) {
    if (!secret.empty() && message.find(secret) != std::string::npos) message = "it is no uri of this kind";
  }
  if (uri.scheme == "hdfs" && status.IsIOError()) {
    return FailedPrecondition(fmt::format(
        "{}: cannot be reached through Hadoop's libhdfs: it needs libhdfs.so (ARROW_LIBHDFS_DIR or HADOOP_HOME), "
        "libjvm.so (JAVA_HOME) and Hadoop's jars (CLASSPATH, as 'hadoop classpath --glob' prints it): {}",
        base, message));
  }
  return InvalidArgument(fmt::format("{}: Arrow does not take this uri: {}", base, message));
}

}  // namespace

FileSystemsScope::~FileSystemsScope() { arrow::fs::EnsureFinalized(); }

Result<std::shared_ptr<const Storage>> OpenFileSystem(const LakeUri& uri) {
  const std::string base = uri.scheme + "://" + uri.authority;
  if (uri.authority.empty()) {
    return InvalidArgument(fmt::format("{}: expected a {} after {}://", uri.Shown(),
                                       uri.scheme == "hdfs" ? "host" : "bucket", uri.scheme));
  }
  std::string query = uri.query;
  arrow::fs::FileSystemFactoryOptions options;
  if (uri.scheme == "s3") {
    WEIR_RETURN_IF_ERROR(FromArrow(arrow::fs::LoadFileSystemFactories(kS3Library), base));
    AddRegion(&query);
    options.emplace_back("retry_strategy", std::shared_ptr<arrow::fs::S3RetryStrategy>(std::make_shared<TryOnce>()));
  } else if (uri.scheme == "gs" && QueryItem(query, "retry_limit_seconds").empty()) {
    AddQueryItem("retry_limit_seconds", "0.001", &query);
  }
  const std::string full = fmt::format("{}://{}{}{}{}{}", uri.scheme, uri.user, uri.user.empty() ? "" : "@",
                                       uri.authority, query.empty() ? "" : "/?", query);
  auto connected = arrow::fs::FileSystemFromUriAndOptions(full, options);
  if (!connected.ok()) return Refused(uri, full, connected.status());
  const std::string prefix = uri.scheme == "hdfs" ? base : uri.scheme + "://";
  return std::shared_ptr<const Storage>(std::make_shared<ArrowStorage>(std::move(connected).ValueUnsafe(), prefix,
                                                                       Advice(uri.scheme), uri.scheme == "gs"));
}

}  // namespace weir
