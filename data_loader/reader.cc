#include "data_loader/reader.h"

#include <arrow/type.h>
#include <fmt/format.h>

namespace weir {
namespace {

constexpr int64_t kDecodeRows = 8192;

}  // namespace

OrderedReader::OrderedReader(std::unique_ptr<Dataset> dataset, std::shared_ptr<arrow::Schema> extra_schema)
    : dataset_(std::move(dataset)),
      extra_schema_(std::move(extra_schema)),
      stream_(dataset_.get(), PlanOrderedEpoch(dataset_->group_rows()).streams[0], kDecodeRows,
              /*dictionaries=*/false) {}

Result<std::unique_ptr<OrderedReader>> OrderedReader::Open(const Job& job, const SourceConfig& source, bool with_label,
                                                           const std::vector<std::string>& extra_columns) {
  WEIR_ASSIGN_OR_RETURN(auto dataset, Dataset::Open(job, source, with_label, extra_columns));
  arrow::FieldVector fields;
  for (const std::string& name : extra_columns) {
    auto field = dataset->file(0).schema()->GetFieldByName(name);
    for (int f = 1; f < dataset->num_files(); ++f) {
      auto other = dataset->file(f).schema()->GetFieldByName(name);
      if (other->type()->Equals(*field->type())) continue;
      return InvalidArgument(fmt::format("{}: column {}: expected {}, as in {}, found {}", dataset->file(f).path(),
                                         name, field->type()->ToString(), dataset->file(0).path(),
                                         other->type()->ToString()));
    }
    fields.push_back(arrow::field(name, field->type()));
  }
  return std::unique_ptr<OrderedReader>(new OrderedReader(std::move(dataset), arrow::schema(std::move(fields))));
}

Result<bool> OrderedReader::Next(int64_t rows_max, OrderedRows* out) {
  StreamRows read;
  WEIR_ASSIGN_OR_RETURN(bool more, stream_.Next(rows_max, &read));
  if (!more) return false;
  out->rows = std::move(read.rows);
  out->extractor = &dataset_->extractor(read.file);
  out->path = dataset_->file(read.file).path();
  out->first_row = read.first_row;
  return true;
}

}  // namespace weir
