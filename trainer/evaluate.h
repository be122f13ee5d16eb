// Evaluation on held-out data: only pulls, never changes a row.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "proto/checkpoint.pb.h"
#include "trainer/worker.h"

namespace weir {

// Judges the model as it stands after `step` on job.data.eval; the same call on every worker, the same result on all.
// `on_batch` is told, after each batch, of the rows so far over all workers. `worker.optimizer` is not used.
Result<Evaluation> Evaluate(const Worker& worker, int64_t step, const std::function<void(int64_t rows)>& on_batch);

}  // namespace weir
