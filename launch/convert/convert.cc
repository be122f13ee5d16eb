#include "launch/convert/convert.h"

#include <memory>
#include <optional>

#include <arrow/record_batch.h>

#include "launch/read_ahead.h"
#include "launch/report/progress_line.h"

namespace weir {
namespace {

struct SourceBatch {
  std::shared_ptr<arrow::RecordBatch> rows;
  double share = 0;  // of the input, after them
};

}  // namespace

Result<ParquetWritten> Convert(RecordSource* source, ParquetOutput* output) {
  ProgressLine progress;
  int64_t rows = 0;
  const auto next = [&]() -> Result<std::optional<SourceBatch>> {
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> batch, source->Next());
    if (batch == nullptr) return std::optional<SourceBatch>();
    return std::optional(SourceBatch{std::move(batch), source->share()});
  };
  const auto write = [&](SourceBatch batch) -> Status {
    WEIR_RETURN_IF_ERROR(output->Write(batch.rows));
    rows += batch.rows->num_rows();
    progress.Update(rows, batch.share);
    return Status();
  };
  WEIR_RETURN_IF_ERROR(ReadAhead<SourceBatch>(next, write));
  return output->Finish();
}

}  // namespace weir
