#include "data_loader/lake/partitions.h"

#include <algorithm>

#include <fmt/format.h>

#include "proto/nearest_name.h"

namespace weir {
namespace {

constexpr std::string_view kHiveNull = "__HIVE_DEFAULT_PARTITION__";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A "%" that is not followed by two digits stays.
std::string Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

const PartitionValue* Find(const std::vector<PartitionValue>& partitions, const std::string& column) {
  const auto found = std::find_if(partitions.begin(), partitions.end(),
                                  [&](const PartitionValue& partition) { return partition.column == column; });
  return found == partitions.end() ? nullptr : &*found;
}

}  // namespace

std::vector<PartitionValue> PartitionsOf(std::string_view path) {
  std::vector<PartitionValue> partitions;
  while (true) {
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return partitions;
    const std::string_view folder = path.substr(0, slash);
    path.remove_prefix(slash + 1);
    const size_t equals = folder.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    PartitionValue partition{Decode(folder.substr(0, equals)), std::nullopt};
    const std::string_view value = folder.substr(equals + 1);
    if (value != kHiveNull) partition.value = Decode(value);
    std::erase_if(partitions, [&](const PartitionValue& outer) { return outer.column == partition.column; });
    partitions.push_back(std::move(partition));
  }
}

bool PartitionFilters::MayHold(const std::vector<PartitionValue>& partitions) const {
  return std::all_of(filters_.begin(), filters_.end(), [&](const PartitionFilter& filter) {
    const PartitionValue* partition = Find(partitions, filter.column);
    return partition == nullptr || filter.Matches(partition->value);
  });
}

Status PartitionFilters::CheckColumns(const std::string& path, const std::vector<PartitionValue>& partitions) const {
  std::vector<std::string> columns;
  for (const PartitionValue& partition : partitions) columns.push_back(partition.column);
  for (const PartitionFilter& filter : filters_) {
    if (Find(partitions, filter.column) != nullptr) continue;
    const std::string hint =
        columns.empty() ? " (there are no folders COLUMN=VALUE on its path)" : SuggestName(filter.column, columns);
    return InvalidArgument(fmt::format("{}: filter \"{}\": expected a partition column '{}', found none of that name{}",
                                       path, filter.text, filter.column, hint));
  }
  return Status();
}

}  // namespace weir
