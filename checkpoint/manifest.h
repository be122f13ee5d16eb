// MANIFEST: what a checkpoint holds, as textproto (weir.Manifest), with "crc32c: %08x\n" of all before it as its last
// line.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/row_layout.h"
#include "proto/checkpoint.pb.h"

namespace weir {

inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr uint64_t kManifestBytesMax = 256ull << 20;
inline constexpr int kVirtualShardsMax = 65536;
// Floats a row may have; far above any job's (dim 4096, two columns of state).
inline constexpr int kRowWidthMax = 1 << 20;

// The bytes of MANIFEST.
std::string SerializeManifest(const Manifest& manifest);

// Checks the checksum, then parses and refuses other versions. `path` is for messages.
Result<Manifest> ParseManifest(const std::string& path, const std::string& bytes);

// What makes a manifest contradict itself: unsafe or double file names, tables unknown or without all their shards,
// rows that do not add up. Empty when nothing does.
std::string ManifestProblem(const Manifest& manifest);

// Writes folder/MANIFEST and syncs it; the folder itself is not synced.
Status WriteManifest(FileSystem* file_system, const std::string& folder, const Manifest& manifest);

// The ROWS files of a table, by ascending virtual shard.
std::vector<DataFile> RowFilesOf(const Manifest& manifest, const std::string& table);

// The layout a manifest gives for a table; initial values of state are not in it.
RowLayout LayoutOf(const TableSummary& table);

}  // namespace weir
