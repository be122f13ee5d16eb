// Walk: the files that a path names in a storage.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "data_loader/lake/partitions.h"
#include "data_loader/lake/storage.h"

namespace weir {

// The files of `path`, sorted by path: the file as named, a folder's files with all below it, or all that a pattern
// matches (folders among the matches with their files). In a pattern *, ? and [...] stand for letters of one name
// (fnmatch), never for a slash or a leading dot. Below named folders and in matches, names that begin with "." or "_"
// are skipped. Folders that `filters` exclude are not listed; only a pattern's folders before its first wildcard need
// be readable. `scheme_bytes`: leading bytes of the path that are no folders ("s3://bucket"). Errors: those of the
// storage; NotFound when nothing is left; InvalidArgument for folders that lead back to one above, for more than 64
// below each other, and for filters of columns that a file's path does not have.
Result<std::vector<StoredFile>> FindFiles(const Storage& storage, const std::string& path, size_t scheme_bytes,
                                          const PartitionFilters& filters);

}  // namespace weir
