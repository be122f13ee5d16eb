// lookup: what another file has in the row of the same id.
#include <arrow/array.h>
#include <arrow/compute/api_vector.h>
#include <arrow/type.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/side_files.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

class LookupTransform : public ColumnTransform {
 public:
  LookupTransform(const ColumnConfig& config, ColumnType type, std::shared_ptr<const SideTable> table)
      : ColumnTransform(config, std::move(type)), table_(std::move(table)) {}

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const override {
    WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(inputs[0]));
    const size_t n = elements.size();
    std::vector<int64_t> rows(n);
    std::vector<Cell> cells(n);
    if (table_->integer_ids) {
      std::vector<uint64_t> ids(n);
      WEIR_RETURN_IF_ERROR(ReadIntegers(elements.values(), ids.data(), cells.data()));
      elements.ReportBad(from_[0], "is no integer", faults, &cells);
      FindAll(table_->rows_of_integer, ids, &rows, &cells);
    } else {
      std::vector<std::string_view> ids(n);
      WEIR_RETURN_IF_ERROR(ReadStrings(elements.values(), ids.data(), cells.data()));
      FindAll(table_->rows_of_string, ids, &rows, &cells);
    }
    WEIR_ASSIGN_OR_RETURN(const auto indices, IntegerArray(rows, cells));
    WEIR_ASSIGN_OR_RETURN(auto taken, FromArrow(arrow::compute::Take(*table_->values, *indices), from_[0]));
    return elements.Rebuild(std::move(taken));
  }

 private:
  template <typename Rows, typename Id>
  static void FindAll(const Rows& known, const std::vector<Id>& ids, std::vector<int64_t>* rows,
                      std::vector<Cell>* cells) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if ((*cells)[i] != Cell::kValue) continue;
      const auto found = known.find(ids[i]);
      if (found == known.end()) {
        (*cells)[i] = Cell::kMissing;
      } else {
        (*rows)[i] = found->second;
      }
    }
  }

  const std::shared_ptr<const SideTable> table_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeLookup(const TransformSource& source) {
  WEIR_ASSIGN_OR_RETURN(auto table, source.files->Table(source.config.lookup(), source.types[0]));
  const arrow::DataType& ids = *source.types[0].type;
  if (IsListType(ids) && IsListType(*table->value_type.type)) {
    return RefuseType(source, 0, "one id a row, as the column that is taken has lists");
  }
  ColumnType type = {RebuiltType(ids, table->value_type.type), table->value_type.text};
  return std::unique_ptr<ColumnTransform>(new LookupTransform(source.config, std::move(type), std::move(table)));
}

}  // namespace weir
