// lag: the seconds from the time in one column to that in another.
#include <arrow/array.h>
#include <arrow/type.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/instants.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

class Lag : public ColumnTransform {
 public:
  explicit Lag(const ColumnConfig& config) : ColumnTransform(config, {arrow::float64()}), unit_(config.lag().unit()) {}

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const override {
    Instants times[2];
    for (int f = 0; f < 2; ++f) {
      WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(inputs[f]));
      WEIR_RETURN_IF_ERROR(ReadInstants(elements.values(), unit_, &times[f]));
      elements.ReportBad(from_[f], kNoInstant, faults, &times[f].cells);
    }
    auto& [first, second] = times;
    std::vector<double> lags(first.cells.size());
    for (size_t i = 0; i < lags.size(); ++i) {
      // The difference of the seconds is exact, so that close times keep their nanoseconds.
      lags[i] = static_cast<double>(second.seconds[i] - first.seconds[i]) + (second.nanos[i] - first.nanos[i]) * 1e-9;
      if (second.cells[i] != Cell::kValue) first.cells[i] = Cell::kMissing;
    }
    return DoubleArray(lags, first.cells);
  }

 private:
  const TimeConfig::Unit unit_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeLag(const TransformSource& source) {
  for (int f = 0; f < 2; ++f) {
    const arrow::DataType& type = *source.types[f].type;
    if (IsListType(type) || !IsInstantType(ElementType(type))) {
      return RefuseType(source, f, std::string(kInstantTypes) + ", one a row");
    }
  }
  return std::unique_ptr<ColumnTransform>(new Lag(source.config));
}

}  // namespace weir
