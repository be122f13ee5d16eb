// RecordSource: rows to be converted, of whatever origin, as record batches of one schema.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/type_fwd.h>

#include "base/status.h"

namespace weir {

// Rows of a record batch that a source makes of lines.
constexpr int64_t kSourceBatchRows = 1 << 15;

// One thread.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  // The next rows, null after the last.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  // Of the input, read so far: 0 to 1.
  virtual double share() const = 0;
};

}  // namespace weir
