#include "launch/convert/convert.h"

#include <thread>
#include <utility>

#include <arrow/record_batch.h>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "launch/report/progress_line.h"
#include "launch/stop_signal.h"

namespace weir {
namespace {

constexpr size_t kBatchesAhead = 4;
// How long a thread waits before it looks again; no deadline: the other thread is of this process and closes the queue.
constexpr int64_t kLookNs = kNanosPerSecond;

struct SourceBatch {
  std::shared_ptr<arrow::RecordBatch> rows;  // null at the end
  double share = 0;
  Status status;
};

void ReadAll(RecordSource* source, BoundedQueue<SourceBatch>* queue) {
  for (bool more = true; more;) {
    auto rows = source->Next();
    SourceBatch batch;
    if (rows.ok()) {
      batch.rows = *rows;
    } else {
      batch.status = rows.status();
    }
    batch.share = source->share();
    more = batch.rows != nullptr;
    QueueOutcome outcome = QueueOutcome::kTimedOut;
    while (outcome == QueueOutcome::kTimedOut) outcome = queue->Push(batch, kLookNs);
    if (outcome == QueueOutcome::kClosed) return;
  }
}

Status WriteAll(BoundedQueue<SourceBatch>* queue, ParquetOutput* output) {
  ProgressLine progress;
  int64_t rows = 0;
  while (true) {
    if (StopAsked()) return Aborted("stopped by a signal: nothing was written");
    SourceBatch batch;
    if (queue->Pop(&batch, kLookNs) != QueueOutcome::kDone) continue;
    WEIR_RETURN_IF_ERROR(batch.status);
    if (batch.rows == nullptr) return Status();
    WEIR_RETURN_IF_ERROR(output->Write(batch.rows));
    rows += batch.rows->num_rows();
    progress.Update(rows, batch.share);
  }
}

}  // namespace

Result<ParquetWritten> Convert(RecordSource* source, ParquetOutput* output) {
  BoundedQueue<SourceBatch> queue(kBatchesAhead);
  std::thread reader([&] { ReadAll(source, &queue); });
  const Status status = WriteAll(&queue, output);
  queue.Close();
  reader.join();
  WEIR_RETURN_IF_ERROR(status);
  return output->Finish();
}

}  // namespace weir
