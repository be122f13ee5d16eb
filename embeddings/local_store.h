// LocalStore: the rows in this process, for one worker.
#pragma once

#include <memory>

#include "embeddings/row_files.h"
#include "embeddings/store.h"

namespace weir {

// row_files must outlive the store.
std::unique_ptr<EmbeddingStore> MakeLocalStore(std::vector<TableSpec> specs, int virtual_shards, RowFiles* row_files);

}  // namespace weir
