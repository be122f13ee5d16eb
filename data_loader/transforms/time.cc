// time: a part of the time in a column. Local time is UTC and a fixed offset.
#include <chrono>

#include <arrow/array.h>
#include <arrow/type.h>

#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/instants.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

int64_t PartOf(int64_t local_seconds, TimeConfig::Part part) {
  using std::chrono::seconds;
  const seconds since{local_seconds};
  const auto days = std::chrono::floor<std::chrono::days>(since);
  const int64_t hour = std::chrono::floor<std::chrono::hours>(since - days).count();
  const std::chrono::sys_days date{days};
  const int64_t weekday = std::chrono::weekday(date).iso_encoding() - 1;
  switch (part) {
    case TimeConfig::HOUR:
      return hour;
    case TimeConfig::WEEKDAY:
      return weekday;
    case TimeConfig::HOUR_OF_WEEK:
      return 24 * weekday + hour;
    case TimeConfig::DAY:
      return unsigned{std::chrono::year_month_day(date).day()};
    case TimeConfig::MONTH:
      return unsigned{std::chrono::year_month_day(date).month()};
    case TimeConfig::DATE:
      break;
  }
  return days.count();
}

class Time : public ColumnTransform {
 public:
  Time(const ColumnConfig& config, ColumnType type)
      : ColumnTransform(config, std::move(type)),
        part_(config.time().part()),
        unit_(config.time().unit()),
        offset_s_(int64_t{config.time().offset_minutes()} * 60) {}

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const override {
    WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(inputs[0]));
    Instants instants;
    WEIR_RETURN_IF_ERROR(ReadInstants(elements.values(), unit_, &instants));
    elements.ReportBad(from_[0], kNoInstant, faults, &instants.cells);
    for (size_t i = 0; i < instants.cells.size(); ++i) {
      if (instants.cells[i] == Cell::kValue) instants.seconds[i] = PartOf(instants.seconds[i] + offset_s_, part_);
    }
    WEIR_ASSIGN_OR_RETURN(auto parts, IntegerArray(instants.seconds, instants.cells));
    return elements.Rebuild(std::move(parts));
  }

 private:
  const TimeConfig::Part part_;
  const TimeConfig::Unit unit_;
  const int64_t offset_s_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeTime(const TransformSource& source) {
  const arrow::DataType& type = *source.types[0].type;
  if (!IsInstantType(ElementType(type))) return RefuseType(source, 0, kInstantTypes);
  return std::unique_ptr<ColumnTransform>(new Time(source.config, {RebuiltType(type, arrow::int64())}));
}

}  // namespace weir
