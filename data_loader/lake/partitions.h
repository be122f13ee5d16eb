// Partitions: what the folders COLUMN=VALUE on a file's path say of its rows (Hive's layout), and which of them a
// source wants.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/partition_filter.h"

namespace weir {

struct PartitionValue {
  std::string column;
  std::optional<std::string> value;  // nullopt: null (Hive's default partition)
  bool operator==(const PartitionValue&) const = default;
};

// The values of all folders of `path`, from the root on; its last name, the file's, is none. %XX is decoded in columns
// and values. The innermost folder counts where a column stands twice.
std::vector<PartitionValue> PartitionsOf(std::string_view path);

// The filters of one source. Immutable; thread-safe.
class PartitionFilters {
 public:
  // InvalidArgument for a filter that cannot be read.
  template <typename Texts>
  static Result<PartitionFilters> Parse(const Texts& texts) {
    PartitionFilters parsed;
    for (const auto& text : texts) {
      WEIR_ASSIGN_OR_RETURN(PartitionFilter filter, ParsePartitionFilter(text));
      parsed.filters_.push_back(std::move(filter));
    }
    return parsed;
  }

  // Whether a folder with these values, or one in it, can have files that are wanted: false once a filter is not
  // passed.
  bool MayHold(const std::vector<PartitionValue>& partitions) const;
  // OK when each filter's column is among those of a file; else InvalidArgument, which names them.
  Status CheckColumns(const std::string& path, const std::vector<PartitionValue>& partitions) const;

  const std::vector<PartitionFilter>& filters() const { return filters_; }

 private:
  std::vector<PartitionFilter> filters_;
};

}  // namespace weir
