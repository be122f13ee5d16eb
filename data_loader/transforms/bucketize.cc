// bucketize: the index of a number's bucket.
#include <cmath>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/sparse_column.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

class BucketizeColumn : public ColumnTransform {
 public:
  BucketizeColumn(const ColumnConfig& config, ColumnType type)
      : ColumnTransform(config, std::move(type)),
        boundaries_(config.bucketize().boundaries().begin(), config.bucketize().boundaries().end()) {}

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const override {
    WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(inputs[0]));
    std::vector<double> numbers(elements.size());
    std::vector<Cell> cells(elements.size());
    WEIR_RETURN_IF_ERROR(ReadNumbers(elements.values(), numbers.data(), cells.data()).Wrap(from_[0]));
    std::vector<int64_t> buckets(numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (cells[i] == Cell::kValue && std::isnan(numbers[i])) cells[i] = Cell::kBad;
      if (cells[i] == Cell::kValue) {
        buckets[i] = static_cast<int64_t>(SparseColumn::Bucketize(numbers[i], boundaries_));
      }
    }
    elements.ReportBad(from_[0], "is no number", faults, &cells);
    WEIR_ASSIGN_OR_RETURN(auto indices, IntegerArray(buckets, cells));
    return elements.Rebuild(std::move(indices));
  }

 private:
  const std::vector<double> boundaries_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeBucketize(const TransformSource& source) {
  const arrow::DataType& type = *source.types[0].type;
  const arrow::DataType& element = ElementType(type);
  const bool text = source.types[0].text && IsStringType(element);
  if (!text && !IsIntegerType(element) && !IsFloatingType(element)) return RefuseType(source, 0, "numbers");
  if (source.config.bucketize().boundaries().empty()) return InvalidArgument("has no boundaries");
  return std::unique_ptr<ColumnTransform>(new BucketizeColumn(source.config, {RebuiltType(type, arrow::int64())}));
}

}  // namespace weir
