// The rows of a table as Parquet.
#pragma once

#include <span>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/table_set.h"
#include "proto/checkpoint.pb.h"
#include "proto/export.pb.h"

namespace weir {

// Writes key and vector of all rows of table `spec` in the checkpoint folder `checkpoint` to
// out_folder/rows-TABLE.parquet (characters of the name other than letters, digits, ".", "-" and "_" as %XX), by
// ascending (virtual shard, key), and returns the file's entry. Streams: memory is one record batch. Bytes and row
// order of the checkpoint are checked.
Result<ExportedTable> ExportRows(FileSystem* file_system, const std::string& checkpoint, const Manifest& manifest,
                                 const TableSpec& spec, const std::string& out_folder);

}  // namespace weir
