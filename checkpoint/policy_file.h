// A POLICY file: what a table's limits remember besides its rows (counts of keys not admitted, times of steps, keys
// whose rows were dropped), for whole virtual shards. docs/formats.md has its grammar.
#pragma once

#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/row_files.h"
#include "embeddings/table_policy.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// Writes folder/name, synced, and returns its entry.
Result<DataFile> WritePolicyFile(FileSystem* file_system, const std::string& folder, const std::string& name,
                                 const std::string& table, const TablePolicy& policy, ShardRange shards);

// Gives `policy` what the file holds of `shards`, after checking size and checksum. DataLoss: damaged.
Status ReadPolicyFile(FileSystem* file_system, const std::string& folder, const DataFile& entry, ShardRange shards,
                      TablePolicy* policy);

// Checks the grammar of a file alone.
Status VerifyPolicyFile(FileSystem* file_system, const std::string& folder, const DataFile& entry);

}  // namespace weir
