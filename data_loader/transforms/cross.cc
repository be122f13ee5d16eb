#include "data_loader/transforms/cross.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

// The hashes of a column's values; those of row i, without what is missing, at [bounds[i], bounds[i+1]).
struct HashedColumn {
  std::vector<uint64_t> hashes;
  std::vector<int64_t> bounds;
  std::vector<bool> missing;  // the row as a whole

  std::span<const uint64_t> row(int64_t i) const {
    return std::span(hashes).subspan(bounds[i], bounds[i + 1] - bounds[i]);
  }
};

Result<HashedColumn> HashColumn(const std::shared_ptr<arrow::Array>& column) {
  const KeyRule rule("", /*buckets=*/0, /*identity=*/false);
  WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(column));
  const size_t n = elements.size();
  std::vector<uint64_t> hashes(n);
  std::vector<Cell> cells(n);
  if (IsStringType(*elements.values().type())) {
    std::vector<std::string_view> texts(n);
    WEIR_RETURN_IF_ERROR(ReadStrings(elements.values(), texts.data(), cells.data()));
    std::transform(texts.begin(), texts.end(), hashes.begin(),
                   [&](std::string_view text) { return rule.OfString(text); });
  } else {
    WEIR_RETURN_IF_ERROR(ReadIntegers(elements.values(), hashes.data(), cells.data()));
    rule.OfIntegers(hashes.data(), n, hashes.data());
  }
  HashedColumn hashed;
  hashed.bounds = {0};
  for (int64_t row = 0; row < elements.num_rows(); ++row) {
    hashed.missing.push_back(elements.row_is_null(row));
    for (int64_t i = elements.begin(row); i < elements.begin(row + 1); ++i) {
      if (!hashed.missing.back() && cells[i] == Cell::kValue) hashed.hashes.push_back(hashes[i]);
    }
    hashed.bounds.push_back(static_cast<int64_t>(hashed.hashes.size()));
  }
  return hashed;
}

class Cross : public ColumnTransform {
 public:
  Cross(const ColumnConfig& config, bool lists, std::vector<std::string> kinds)
      : ColumnTransform(config, {lists ? arrow::large_list(arrow::uint64()) : arrow::uint64()}),
        lists_(lists),
        kinds_(std::move(kinds)),
        max_values_(config.cross().max_values()) {}

  std::vector<std::string> HashedKinds() const override { return kinds_; }

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const override {
    std::vector<HashedColumn> columns;
    for (const auto& input : inputs) {
      WEIR_ASSIGN_OR_RETURN(HashedColumn column, HashColumn(input));
      columns.push_back(std::move(column));
    }
    std::vector<uint64_t> crossed;
    std::vector<int64_t> bounds = {0};
    std::vector<bool> missing;
    for (int64_t row = 0; row < inputs[0]->length(); ++row) {
      missing.push_back(std::any_of(columns.begin(), columns.end(), [&](const auto& c) { return c.missing[row]; }));
      if (!missing[row] && !AppendRow(columns, row, &crossed)) {
        faults.Add(from_[0], row, fmt::format("has more than {} combinations with {}", max_values_, from_[1]),
                   *inputs[0], row);
        missing[row] = true;
      }
      bounds.push_back(static_cast<int64_t>(crossed.size()));
    }
    if (lists_) {
      WEIR_ASSIGN_OR_RETURN(const auto values, UnsignedArray(crossed, std::vector<Cell>(crossed.size())));
      return ListArray(bounds, values, missing);
    }
    std::vector<uint64_t> singles(missing.size());
    std::vector<Cell> cells(missing.size(), Cell::kMissing);
    for (size_t row = 0; row < missing.size(); ++row) {
      if (bounds[row] == bounds[row + 1]) continue;
      singles[row] = crossed[bounds[row]];
      cells[row] = Cell::kValue;
    }
    return UnsignedArray(singles, cells);
  }

 private:
  // All combinations of the row's values, those of the last column turning fastest. False if there are too many.
  bool AppendRow(const std::vector<HashedColumn>& columns, int64_t row, std::vector<uint64_t>* out) const {
    size_t count = 1;
    for (const HashedColumn& column : columns) {
      const size_t values = column.row(row).size();
      if (values == 0) return true;
      // Both are bounded, by max_values and by what one array holds: no overflow.
      count = std::min<size_t>(count * values, size_t{max_values_} + 1);
    }
    if (count > max_values_) return false;
    std::vector<uint64_t> combination(columns.size());
    for (size_t k = 0; k < count; ++k) {
      size_t rest = k;
      for (size_t c = columns.size(); c-- > 0;) {
        const auto values = columns[c].row(row);
        combination[c] = values[rest % values.size()];
        rest /= values.size();
      }
      out->push_back(CrossHash(combination));
    }
    return true;
  }

  const bool lists_;
  const std::vector<std::string> kinds_;
  const uint32_t max_values_;
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeCross(const TransformSource& source) {
  bool lists = false;
  std::vector<std::string> kinds;
  for (int f = 0; f < source.config.from_size(); ++f) {
    const arrow::DataType& type = *source.types[f].type;
    if (!IsIntegerType(ElementType(type)) && !IsStringType(ElementType(type))) {
      return RefuseType(source, f, "integers or strings, or lists of them (numbers can be bucketized first)");
    }
    lists |= IsListType(type);
    kinds.push_back(KindOf(ElementType(type)));
  }
  return std::unique_ptr<ColumnTransform>(new Cross(source.config, lists, std::move(kinds)));
}

}  // namespace weir
