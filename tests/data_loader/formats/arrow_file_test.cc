#include "data_loader/formats/arrow_file.h"

#include <fstream>

#include <arrow/io/file.h>
#include <arrow/ipc/api.h>
#include <arrow/util/compression.h>

#include "tests/data_loader/formats/format_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

using Strings = std::vector<std::string>;

std::shared_ptr<arrow::Table> SomeRows(int64_t rows) {
  auto numbered = NumberedRows(0, rows);
  arrow::StringDictionaryBuilder cities;
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  for (int64_t i = 0; i < rows; ++i) {
    EXPECT_TRUE((i % 5 == 0 ? cities.AppendNull() : cities.Append(i % 2 == 0 ? "Ulm" : "Bonn")).ok());
    EXPECT_TRUE((i % 7 == 0 ? lists.AppendNull() : lists.Append()).ok());
    for (int64_t j = 0; i % 7 != 0 && j < i % 3; ++j) {
      EXPECT_TRUE(static_cast<arrow::Int64Builder*>(lists.value_builder())->Append(j).ok());
    }
  }
  auto add = [&](const std::string& name, std::shared_ptr<arrow::Array> array) {
    numbered = numbered
                   ->AddColumn(numbered->num_columns(), arrow::field(name, array->type()),
                               std::make_shared<arrow::ChunkedArray>(array))
                   .ValueOrDie();
  };
  add("city", cities.Finish().ValueOrDie());
  add("items", lists.Finish().ValueOrDie());
  return numbered;
}

void WriteArrow(const std::string& path, const arrow::Table& table, bool stream, arrow::Compression::type codec,
                int64_t batch_rows) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  if (codec != arrow::Compression::UNCOMPRESSED) options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  auto writer = (stream ? arrow::ipc::MakeStreamWriter(file, table.schema(), options)
                        : arrow::ipc::MakeFileWriter(file, table.schema(), options))
                    .ValueOrDie();
  ASSERT_TRUE(writer->WriteTable(table, batch_rows).ok());
  ASSERT_TRUE(writer->Close().ok());
  ASSERT_TRUE(file->Close().ok());
}

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ArrowFile, BothFormatsAndAllCodecs) {
  TempFolder folder;
  const auto table = SomeRows(1000);
  for (const bool stream : {false, true}) {
    for (const auto codec :
         {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME, arrow::Compression::ZSTD}) {
      const std::string path = folder / (stream ? "a.arrows" : "a.feather");
      WriteArrow(path, *table, stream, codec, 300);
      auto file = OpenLakeFile(path);
      ASSERT_TRUE(file.ok()) << file.status().ToString();
      EXPECT_EQ((*file)->schema()->ToString(), table->schema()->ToString());
      ASSERT_EQ((*file)->row_groups().size(), 4);
      EXPECT_EQ((*file)->row_groups()[3].rows, 100);
      auto read = ReadRows(**file);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_TRUE((*read)->Equals(*table)) << (*read)->ToString();
      read = ReadRows(**file, {"id", "city"}, 50);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ((*read)->num_columns(), 2);
      EXPECT_EQ(Texts(**read, "id").size(), 800);
      EXPECT_EQ(Texts(**read, "id")[250], "350");
    }
  }
}

TEST(ArrowFile, DictionariesOfAStreamMayBeReplaced) {
  TempFolder folder;
  const std::string path = folder / "a.arrows";
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto schema = arrow::schema({arrow::field("city", type)});
  auto writer = arrow::ipc::MakeStreamWriter(file, schema).ValueOrDie();
  for (const char* city : {"Ulm", "Bonn", "Kiel"}) {
    auto array = arrow::DictionaryArray::FromArrays(type, MakeArray<arrow::Int8Builder>(std::vector<int8_t>{0, 0}),
                                                    MakeArray<arrow::StringBuilder>(Strings{city}))
                     .ValueOrDie();
    ASSERT_TRUE(writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema, 2, {array})).ok());
  }
  ASSERT_TRUE(writer->Close().ok());
  ASSERT_TRUE(file->Close().ok());
  auto opened = OpenLakeFile(path);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  Strings cities;
  for (const int group : {2, 0, 1}) {
    auto batch = *(*(*opened)->Read(group, 1, 2, {"city"}, 10))->Next();
    const auto& column = static_cast<const arrow::DictionaryArray&>(*batch->column(0));
    cities.push_back(static_cast<const arrow::StringArray&>(*column.dictionary()).GetString(column.GetValueIndex(0)));
  }
  EXPECT_EQ(cities, (Strings{"Kiel", "Ulm", "Bonn"}));
}

TEST(ArrowFile, EveryTornFileIsTold) {
  TempFolder folder;
  for (const bool stream : {false, true}) {
    const std::string path = folder / "a.arrow";
    WriteArrow(path, *SomeRows(50), stream, arrow::Compression::ZSTD, 20);
    const std::string whole = ReadBytes(path);
    for (size_t size = 1; size < whole.size(); size += size + 64 < whole.size() ? 41 : 1) {
      const Status status = ReadPath(folder.Write("b.arrow", whole.substr(0, size))).status();
      // Of a stream the last bytes are its end; a file may lack the magic's second half.
      ExpectError(status, StatusCode::kDataLoss, {"b.arrow"});
    }
  }
}

TEST(ArrowFile, OtherFormatsAreNamed) {
  TempFolder folder;
  ExpectError(ReadPath(folder.Write("a.arrow", "PAR1aaaaaaaaaaaaaaaaaa")).status(), StatusCode::kInvalidArgument,
              {"a.arrow", "PARQUET"});
  ExpectError(ReadPath(folder.Write("a.feather", "FEA1aaaaaaaaaaaaaaaaaa")).status(), StatusCode::kInvalidArgument,
              {"version 1"});
  ExpectError(ReadPath(folder.Write("a.arrow.gz", Gzip("x"))).status(), StatusCode::kInvalidArgument,
              {"gzip", "unpack"});
  ExpectError(ReadPath(folder.Write("a.arrow", "id,x\n1,2\n")).status(), StatusCode::kDataLoss, {"none"});
  WriteArrow(folder / "a.csv", *SomeRows(5), false, arrow::Compression::UNCOMPRESSED, 5);
  ExpectError(ReadPath(folder / "a.csv").status(), StatusCode::kInvalidArgument, {"a.csv", "ARROW"});
}

TEST(ArrowFile, ABatchThatUnpacksToTooMuchIsRefused) {
  TempFolder folder;
  const std::string path = folder / "a.arrow";
  const int64_t rows = kArrowBatchBytesMax / 8 + 1;
  auto zeros = arrow::MakeArrayFromScalar(*arrow::MakeScalar(int64_t{0}), rows).ValueOrDie();
  WriteArrow(path, *MakeTable({{"id", zeros}, {"other", zeros}}), false, arrow::Compression::ZSTD, rows);
  EXPECT_LT(ReadBytes(path).size(), 1 << 20);
  ExpectError(ReadPath(path).status(), StatusCode::kResourceExhausted, {"a.arrow", "batch 0", "at most"});
}

}  // namespace
}  // namespace weir
