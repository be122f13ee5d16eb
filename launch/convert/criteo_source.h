// CriteoSource: Criteo's logs (data_loader/formats/criteo_line.h) as columns: label int32, I1 .. I13 int32 and
// C1 .. C26 uint32, null where missing.
#pragma once

#include <memory>
#include <vector>

#include <arrow/array/builder_primitive.h>

#include "data_loader/formats/criteo_line.h"
#include "launch/convert/lake_lines.h"
#include "launch/convert/record_source.h"

namespace weir {

class CriteoSource : public RecordSource {
 public:
  // labelled: whether lines begin with a label; without, there is no such column. *bad outlives the source.
  CriteoSource(std::vector<LakeEntry> files, bool labelled, BadLines* bad);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override;
  double share() const override { return lines_.share(); }

 private:
  Status Reserve();
  void Append(const CriteoRow& row);
  Result<std::shared_ptr<arrow::RecordBatch>> Finish(int64_t rows);

  const bool labelled_;
  LakeLines lines_;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::Int32Builder label_;
  std::vector<arrow::Int32Builder> integers_;
  std::vector<arrow::UInt32Builder> ids_;
};

}  // namespace weir
