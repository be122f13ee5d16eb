// LakeUri: the parts of a data source's uri.
#pragma once

#include <string>
#include <string_view>

namespace weir {

// "s3://key:secret@bucket/logs/a.csv?region=eu-west-1". The path is taken as it stands, no %XX decoded: object stores
// have names with any characters, and partition folders are encoded themselves.
struct LakeUri {
  std::string scheme;     // "s3"; empty for a local path, "file://" dropped
  std::string user;       // "key:secret", without the "@"
  std::string authority;  // "bucket", "host:port"
  std::string path;       // "/logs/a.csv", without slashes at its end; local paths are all path
  std::string query;      // "region=eu-west-1", without the "?"; never of a local path

  // Scheme, authority and path: what may stand in messages, logs and checkpoints.
  std::string Shown() const;
};

LakeUri ParseLakeUri(std::string_view uri);

// The value of NAME=VALUE in a query, "" if it is not there.
std::string QueryItem(std::string_view query, std::string_view name);

}  // namespace weir
