#include "data_loader/lake/lake_uri.h"

#include <algorithm>

namespace weir {

std::string LakeUri::Shown() const { return scheme.empty() ? path : scheme + "://" + authority + path; }

LakeUri ParseLakeUri(std::string_view uri) {
  LakeUri parsed;
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos || uri.find('/') < colon) {
    parsed.path = uri;
    return parsed;
  }
  std::string_view rest = uri.substr(colon + 3);
  if (uri.substr(0, colon) == "file") {
    parsed.path = rest;
    return parsed;
  }
  parsed.scheme = uri.substr(0, colon);
  if (const size_t query = rest.find('?'); query != std::string_view::npos) {
    parsed.query = rest.substr(query + 1);
    rest = rest.substr(0, query);
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  parsed.authority = rest.substr(0, slash);
  parsed.path = rest.substr(slash);
  if (const size_t at = parsed.authority.rfind('@'); at != std::string::npos) {
    parsed.user = parsed.authority.substr(0, at);
    parsed.authority.erase(0, at + 1);
  }
  // A web server may tell "a" from "a/".
  const bool is_web = parsed.scheme == "http" || parsed.scheme == "https";
  while (!is_web && parsed.path.ends_with('/')) parsed.path.pop_back();
  return parsed;
}

std::string QueryItem(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=') {
      return std::string(item.substr(name.size() + 1));
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return "";
}

}  // namespace weir
