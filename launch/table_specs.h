// The tables of a job with all that making them needs from outside: the keys of allow-lists.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/table_set.h"
#include "proto/job.pb.h"

namespace weir {

// TableSpecsFromJob, with allow-lists read. InvalidArgument when a table's memory does not hold a row in each virtual
// shard, or a line of a list is no value; errors name the file and the line.
Result<std::vector<TableSpec>> ReadTableSpecs(FileSystem* file_system, const Job& job);

// The keys of a list: each line's value hashed as the features that look up `table` hash theirs (by each rule, where
// they differ). A line ends with "\n" or "\r\n"; empty ones are left out. `path` is for messages.
Result<std::vector<uint64_t>> AllowListKeys(const Job& job, const TableConfig& table, const std::string& path,
                                            std::string_view text);

}  // namespace weir
