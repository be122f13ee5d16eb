// Files of the formats that Arrow has no writer for, and whole files read as the loader reads them.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/crc32c.h"
#include "data_loader/formats/lake_file.h"
#include "data_loader/lake/lake.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {

// One gzip member.
inline std::string Gzip(std::string_view text, int level = 6) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string TfRecordOf(std::string_view data) {
  const auto append = [](auto value, std::string* out) {
    out->append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  std::string record;
  append(uint64_t{data.size()}, &record);
  append(MaskedCrc32c(record), &record);
  record += data;
  append(MaskedCrc32c(data), &record);
  return record;
}

inline Result<std::unique_ptr<LakeFile>> OpenLakeFile(const std::string& path, const DataConfig& config = {}) {
  WEIR_ASSIGN_OR_RETURN(const std::vector<LakeEntry> entries, ListFiles(Source(path)));
  return LakeFile::Open(entries.front(), config);
}

// The rows of all row groups from the `skip`ped ones of each on, of the named columns or all.
inline Result<std::shared_ptr<arrow::Table>> ReadRows(const LakeFile& file, std::vector<std::string> columns = {},
                                                      int64_t skip = 0, int64_t batch_rows = 100) {
  if (columns.empty()) columns = file.schema()->field_names();
  arrow::RecordBatchVector batches;
  for (int group = 0; group < static_cast<int>(file.row_groups().size()); ++group) {
    const int64_t rows = file.row_groups()[group].rows;
    int64_t read = std::min(skip, rows);
    WEIR_ASSIGN_OR_RETURN(auto reader, file.Read(group, read, rows, columns, batch_rows));
    while (true) {
      WEIR_ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (batch == nullptr) break;
      if (batch->num_rows() > batch_rows) return Internal("a batch is longer than was asked for");
      read += batch->num_rows();
      batches.push_back(std::move(batch));
    }
    if (read != rows) return Internal("a row group ended early");
  }
  if (batches.empty()) return arrow::Table::MakeEmpty(arrow::schema(arrow::FieldVector())).ValueOrDie();
  return arrow::Table::FromRecordBatches(batches).ValueOrDie();
}

inline Result<std::shared_ptr<arrow::Table>> ReadPath(const std::string& path, const DataConfig& config = {}) {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenLakeFile(path, config));
  return ReadRows(*file);
}

// The column's values as text, "null" for nulls.
inline std::vector<std::string> Texts(const arrow::Table& table, const std::string& column) {
  std::vector<std::string> texts;
  const auto values = table.GetColumnByName(column);
  EXPECT_NE(values, nullptr) << column;
  for (int64_t i = 0; values != nullptr && i < values->length(); ++i) {
    auto value = values->GetScalar(i).ValueOrDie();
    if (value->is_valid && value->type->id() == arrow::Type::DICTIONARY) {
      value = static_cast<const arrow::DictionaryScalar&>(*value).GetEncodedValue().ValueOrDie();
    }
    std::string text = value->ToString();
    // Parquet names the values of a list otherwise.
    for (size_t at; (at = text.find("element: ")) != std::string::npos;) text.replace(at, 9, "item: ");
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace weir
