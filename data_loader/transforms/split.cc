// split: the parts of a string.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

class Split : public ColumnTransform {
 public:
  Split(const ColumnConfig& config, bool text)
      : ColumnTransform(config, {arrow::large_list(arrow::large_utf8()), text}),
        separator_(config.split().separator()) {}

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults&) const override {
    WEIR_ASSIGN_OR_RETURN(const auto strings, WithoutDictionary(inputs[0]));
    const int64_t n = strings->length();
    std::vector<std::string_view> texts(n);
    std::vector<Cell> cells(n);
    WEIR_RETURN_IF_ERROR(ReadStrings(*strings, texts.data(), cells.data()).Wrap(from_[0]));
    arrow::LargeStringBuilder parts;
    std::vector<int64_t> bounds = {0};
    std::vector<bool> missing;
    arrow::Status status;
    for (int64_t i = 0; i < n; ++i) {
      missing.push_back(cells[i] != Cell::kValue);
      ForEachPart(missing[i] ? std::string_view() : texts[i], separator_, [&](std::string_view part) {
        status = part.empty() ? parts.AppendNull() : parts.Append(part);
        return status.ok();
      });
      WEIR_RETURN_IF_ERROR(FromArrow(status, from_[0]));
      bounds.push_back(parts.length());
    }
    WEIR_ASSIGN_OR_RETURN(const auto values, FromArrow(parts.Finish(), from_[0]));
    return ListArray(bounds, values, missing);
  }

 private:
  const std::string separator_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeSplit(const TransformSource& source) {
  const arrow::DataType& type = *source.types[0].type;
  if (IsListType(type) || !IsStringType(ElementType(type))) return RefuseType(source, 0, "strings");
  return std::unique_ptr<ColumnTransform>(new Split(source.config, source.types[0].text));
}

}  // namespace weir
