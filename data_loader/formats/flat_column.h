// FlatColumn: a ParquetColumn of plain values, one a row, decoded straight from the pages. Against Arrow's reader it
// saves the definition levels of pages without nulls and a copy of every value.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/type_fwd.h>

#include "data_loader/formats/parquet_column.h"

namespace parquet {
class ColumnDescriptor;
class PageReader;
}  // namespace parquet

namespace weir {

// Whether MakeFlatColumn() reads such a column as `type`: integers, float, double, boolean, and strings or binary with
// 32- or 64-bit offsets, which stand at the top of the schema, once a row or optional.
bool IsFlatColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type);

// IsFlatColumn; the first `skip` rows are left out, whole pages of them unread. `column` must outlive what is returned.
std::unique_ptr<ParquetColumn> MakeFlatColumn(const parquet::ColumnDescriptor* column,
                                              std::shared_ptr<arrow::DataType> type,
                                              std::unique_ptr<parquet::PageReader> pages, int64_t skip);

}  // namespace weir
