#include "data_loader/formats/parquet_status.h"

#include <fmt/format.h>
#include <parquet/exception.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {

Status FromParquet(const std::exception& error, std::string_view what) {
  const auto* thrown = dynamic_cast<const parquet::ParquetStatusException*>(&error);
  if (thrown != nullptr && IsOurs(thrown->status())) return FromArrow(thrown->status(), what);
  return DataLoss(fmt::format("{}: {}", what, error.what()));
}

}  // namespace weir
