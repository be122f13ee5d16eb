// Convert: rows of a source into an output, read by one thread while another writes.
#pragma once

#include "base/status.h"
#include "launch/convert/parquet_output.h"
#include "launch/convert/record_source.h"

namespace weir {

// Writes all rows of *source and finishes *output; progress goes to stderr. The first error of either ends both.
// Aborted when a signal asked to stop (launch/stop_signal.h). Holds a few record batches more than the two do.
Result<ParquetWritten> Convert(RecordSource* source, ParquetOutput* output);

}  // namespace weir
