// LibsvmSource: libsvm or libffm text (data_loader/formats/libsvm_line.h) as columns: label float, for libffm fields
// list<int64>, indices list<int64>, values list<float>.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data_loader/formats/libsvm_line.h"
#include "launch/convert/lake_lines.h"
#include "launch/convert/record_source.h"

namespace weir {

class LibsvmSource : public RecordSource {
 public:
  // kind: by default what the first line that has pairs looks like. *bad outlives the source.
  static Result<std::unique_ptr<LibsvmSource>> Open(const std::vector<LakeEntry>& files, std::optional<LibsvmKind> kind,
                                                    BadLines* bad);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override;
  double share() const override { return lines_.share(); }

 private:
  LibsvmSource(const std::vector<LakeEntry>& files, LibsvmKind kind, BadLines* bad);

  const LibsvmKind kind_;
  LakeLines lines_;
  std::shared_ptr<arrow::Schema> schema_;
  LibsvmRows rows_;
};

}  // namespace weir
