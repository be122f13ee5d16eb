// LocalStore: the rows in this process, for one worker.
#pragma once

#include <memory>

#include "base/clock.h"
#include "embeddings/row_files.h"
#include "embeddings/store.h"

namespace weir {

// A push is applied when it comes; a pull is answered when it starts or, if it runs ahead, by the push before its step,
// so no call ever waits: what would wait for ever (finishing a pull before that push) is FailedPrecondition. Training
// pulls go by steps without a gap, pushes too. An evaluation pull of a step that is applied already sees the present
// rows. row_files and clock, which tells when steps are pushed, must outlive the store; without files (null) it neither
// saves nor loads.
std::unique_ptr<EmbeddingStore> MakeLocalStore(std::vector<TableSpec> specs, int virtual_shards, RowFiles* row_files,
                                               const Clock* clock = &SystemClock());

}  // namespace weir
