// Parquet files for the tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <gtest/gtest.h>

namespace weir {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> MakeArray(const std::vector<Value>& values) {
  Builder builder;
  for (const auto& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

// Columns of JSON text, as arrow::ArrayFromJSON would take, for types without a short builder: "null" is a null.
struct NamedArray {
  std::string name;
  std::shared_ptr<arrow::Array> array;
};

inline std::shared_ptr<arrow::Table> MakeTable(const std::vector<NamedArray>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const NamedArray& column : columns) {
    fields.push_back(arrow::field(column.name, column.array->type()));
    arrays.push_back(column.array);
  }
  return arrow::Table::Make(arrow::schema(fields), arrays);
}

inline void WriteParquet(const std::string& path, const std::shared_ptr<arrow::Table>& table, int64_t group_rows) {
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  auto properties =
      parquet::WriterProperties::Builder().enable_page_checksum()->disable_dictionary()->data_pagesize(1024)->build();
  auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  ASSERT_TRUE(
      parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, group_rows, properties, arrow_properties)
          .ok());
  ASSERT_TRUE(file->Close().ok());
}

// Columns id (int64, first .. first + rows), x (float, id / 2), label (int32, id % 2).
inline std::shared_ptr<arrow::Table> NumberedRows(int64_t first, int64_t rows) {
  std::vector<int64_t> ids;
  std::vector<float> xs;
  std::vector<int32_t> labels;
  for (int64_t id = first; id < first + rows; ++id) {
    ids.push_back(id);
    xs.push_back(static_cast<float>(id) / 2);
    labels.push_back(static_cast<int32_t>(id % 2));
  }
  return MakeTable({{"id", MakeArray<arrow::Int64Builder>(ids)},
                    {"x", MakeArray<arrow::FloatBuilder>(xs)},
                    {"label", MakeArray<arrow::Int32Builder>(labels)}});
}

}  // namespace weir
