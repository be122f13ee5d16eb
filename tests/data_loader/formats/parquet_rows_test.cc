// The Parquet reader held to Arrow's own, over types, encodings, codecs, page sizes, nulls and starts.
#include <cstring>
#include <fstream>
#include <random>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "data_loader/formats/lake_file.h"
#include "data_loader/formats/page_header.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

using Random = std::mt19937_64;

int64_t Between(Random* random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(*random);
}

template <typename T>
T Pick(Random* random, const std::vector<T>& of) {
  return of[Between(random, 0, static_cast<int64_t>(of.size()) - 1)];
}

// Which rows are null: none, a few, many, all, or long runs of either.
std::vector<bool> Nulls(Random* random, int64_t rows) {
  const int64_t kind = Between(random, 0, 4);
  std::vector<bool> nulls(rows);
  bool run = false;
  for (int64_t i = 0; i < rows; ++i) {
    if (kind == 4 && Between(random, 0, 60) == 0) run = !run;
    const int64_t percent = Between(random, 1, 100);
    nulls[i] = kind == 1 ? percent <= 3 : kind == 2 ? percent <= 60 : kind == 3 ? true : kind == 4 ? run : false;
  }
  return nulls;
}

// Values of `distinct` different bits.
template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Values(Random* random, int64_t rows, bool nullable, const Value& value) {
  Builder builder;
  const std::vector<bool> nulls = nullable ? Nulls(random, rows) : std::vector<bool>(rows);
  const int64_t distinct = Pick<int64_t>(random, {1, 2, 7, 300, 1 << 20});
  for (int64_t i = 0; i < rows; ++i) {
    const auto bits = static_cast<uint64_t>(Between(random, 0, distinct - 1)) * 0x9e3779b97f4a7c15;
    EXPECT_TRUE((nulls[i] ? builder.AppendNull() : builder.Append(value(bits))).ok());
  }
  return builder.Finish().ValueOrDie();
}

template <typename Builder>
std::shared_ptr<arrow::Array> Integers(Random* random, int64_t rows, bool nullable) {
  using T = typename Builder::value_type;
  return Values<Builder>(random, rows, nullable, [](uint64_t bits) { return static_cast<T>(bits >> 7); });
}

template <typename Builder>
std::shared_ptr<arrow::Array> Strings(Random* random, int64_t rows, bool nullable) {
  return Values<Builder>(random, rows, nullable,
                         [](uint64_t bits) { return std::string(bits >> 60, 'x') + std::to_string(bits >> 40); });
}

// The last row has an element: Arrow does not read back a row group without any.
std::shared_ptr<arrow::Array> Lists(Random* random, int64_t rows) {
  auto values = std::make_shared<arrow::Int64Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  for (int64_t i = 0; i < rows; ++i) {
    const bool last = i == rows - 1;
    if (!last && Between(random, 0, 5) == 0) {
      EXPECT_TRUE(builder.AppendNull().ok());
      continue;
    }
    EXPECT_TRUE(builder.Append().ok());
    for (int64_t v = Between(random, last, 3); v > 0; --v) EXPECT_TRUE(values->Append(v * i).ok());
  }
  return builder.Finish().ValueOrDie();
}

// Two leaves of one field, so that leaves and fields are numbered differently behind it.
std::shared_ptr<arrow::Array> Structs(Random* random, int64_t rows) {
  arrow::ArrayVector fields = {Integers<arrow::Int32Builder>(random, rows, true),
                               Strings<arrow::StringBuilder>(random, rows, true)};
  return arrow::StructArray::Make(fields, std::vector<std::string>{"a", "b"}).ValueOrDie();
}

std::shared_ptr<arrow::Array> Times(Random* random, int64_t rows) {
  auto integers = Integers<arrow::Int64Builder>(random, rows, true);
  return integers->View(arrow::timestamp(arrow::TimeUnit::MICRO)).ValueOrDie();
}

std::shared_ptr<arrow::Array> Dictionaries(Random* random, int64_t rows) {
  arrow::StringDictionary32Builder builder;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t value = Between(random, 0, 20);
    EXPECT_TRUE((value == 0 ? builder.AppendNull() : builder.Append(std::to_string(value))).ok());
  }
  return builder.Finish().ValueOrDie();
}

// All types, in an order that changes; required where the name says so.
std::shared_ptr<arrow::Table> RandomTable(Random* random, int64_t rows) {
  std::vector<NamedArray> columns;
  for (const bool nullable : {false, true}) {
    const auto add = [&](const std::string& name, std::shared_ptr<arrow::Array> array) {
      columns.push_back({name + (nullable ? "" : "_required"), std::move(array)});
    };
    add("int8", Integers<arrow::Int8Builder>(random, rows, nullable));
    add("int16", Integers<arrow::Int16Builder>(random, rows, nullable));
    add("int32", Integers<arrow::Int32Builder>(random, rows, nullable));
    add("int64", Integers<arrow::Int64Builder>(random, rows, nullable));
    add("uint8", Integers<arrow::UInt8Builder>(random, rows, nullable));
    add("uint16", Integers<arrow::UInt16Builder>(random, rows, nullable));
    add("uint32", Integers<arrow::UInt32Builder>(random, rows, nullable));
    add("uint64", Integers<arrow::UInt64Builder>(random, rows, nullable));
    add("float", Values<arrow::FloatBuilder>(random, rows, nullable, [](uint64_t bits) {
          return std::ldexp(static_cast<float>(bits >> 40), static_cast<int>(bits % 90) - 60);
        }));
    add("double", Values<arrow::DoubleBuilder>(random, rows, nullable,
                                               [](uint64_t bits) { return static_cast<double>(bits) / 3; }));
    add("bool", Values<arrow::BooleanBuilder>(random, rows, nullable, [](uint64_t bits) { return bits >> 63 == 1; }));
    add("string", Strings<arrow::StringBuilder>(random, rows, nullable));
    add("binary", Strings<arrow::BinaryBuilder>(random, rows, nullable));
    add("large_string", Strings<arrow::LargeStringBuilder>(random, rows, nullable));
    add("large_binary", Strings<arrow::LargeBinaryBuilder>(random, rows, nullable));
  }
  columns.push_back({"list", Lists(random, rows)});
  columns.push_back({"struct", Structs(random, rows)});
  columns.push_back({"time", Times(random, rows)});
  columns.push_back({"dictionary", Dictionaries(random, rows)});
  std::shuffle(columns.begin(), columns.end(), *random);
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const NamedArray& column : columns) {
    fields.push_back(arrow::field(column.name, column.array->type(), !column.name.ends_with("_required")));
    arrays.push_back(column.array);
  }
  return arrow::Table::Make(arrow::schema(fields), arrays);
}

parquet::Encoding::type RandomEncoding(Random* random, const arrow::DataType& type) {
  using parquet::Encoding;
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Pick<Encoding::type>(random, {Encoding::PLAIN, Encoding::RLE});
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return Pick<Encoding::type>(random, {Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT});
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return Pick<Encoding::type>(random,
                                  {Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY});
    default:
      return arrow::is_integer(type.id())
                 ? Pick<Encoding::type>(random,
                                        {Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT})
                 : Encoding::PLAIN;
  }
}

void WriteRandomly(Random* random, const std::string& path, const arrow::Table& table) {
  using arrow::Compression;
  parquet::WriterProperties::Builder properties;
  const std::vector<Compression::type> codecs = {Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP,
                                                 Compression::BROTLI,       Compression::ZSTD,   Compression::LZ4,
                                                 Compression::LZ4_HADOOP};
  properties.data_page_version(Pick<parquet::ParquetDataPageVersion>(
      random, {parquet::ParquetDataPageVersion::V1, parquet::ParquetDataPageVersion::V2}));
  properties.version(Pick<parquet::ParquetVersion::type>(
      random, {parquet::ParquetVersion::PARQUET_1_0, parquet::ParquetVersion::PARQUET_2_6}));
  properties.data_pagesize(Pick<int64_t>(random, {8, 64, 500, 4000, 1 << 20}));
  properties.write_batch_size(Pick<int64_t>(random, {1, 7, 64, 1024}));
  // Small ones run over, so that the writer gives them up within a chunk.
  properties.dictionary_pagesize_limit(Pick<int64_t>(random, {16, 200, 1500, 1 << 20}));
  if (Between(random, 0, 4) > 0) properties.enable_page_checksum();
  for (const auto& field : table.schema()->fields()) {
    properties.compression(field->name(), Pick(random, codecs));
    if (Between(random, 0, 1) == 0) continue;
    properties.disable_dictionary(field->name());
    properties.encoding(field->name(), RandomEncoding(random, *field->type()));
  }
  auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  const arrow::Status status =
      parquet::arrow::WriteTable(table, arrow::default_memory_pool(), file,
                                 Between(random, std::max<int64_t>(1, table.num_rows() / 3), table.num_rows() + 1),
                                 properties.build(), arrow_properties);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_TRUE(file->Close().ok());
}

std::shared_ptr<arrow::Table> ReadGroupByArrow(const std::string& path, int group) {
  parquet::arrow::FileReaderBuilder builder;
  EXPECT_TRUE(builder.OpenFile(path).ok());
  return builder.Build().ValueOrDie()->ReadRowGroup(group).ValueOrDie();
}

std::shared_ptr<arrow::Scalar> ValueAt(const arrow::Scalar& scalar) {
  return static_cast<const arrow::DictionaryScalar&>(scalar).GetEncodedValue().ValueOrDie();
}

// Dictionaries value by value: one may be of the other's type, and entries may stand in another order.
void ExpectSameValues(const arrow::Array& found, const arrow::ChunkedArray& expected, const std::string& what) {
  ASSERT_EQ(found.length(), expected.length()) << what;
  ASSERT_TRUE(found.ValidateFull().ok()) << what;
  if (found.type_id() != arrow::Type::DICTIONARY) {
    EXPECT_TRUE(expected.Equals(arrow::ChunkedArray({arrow::MakeArray(found.data())}))) << what;
    return;
  }
  const bool both = expected.type()->id() == arrow::Type::DICTIONARY;
  for (int64_t i = 0; i < found.length(); ++i) {
    auto want = expected.GetScalar(i).ValueOrDie();
    ASSERT_EQ(found.IsNull(i), !want->is_valid) << what << " row " << i;
    if (!want->is_valid) continue;
    if (both) want = ValueAt(*want);
    ASSERT_TRUE(ValueAt(*found.GetScalar(i).ValueOrDie())->Equals(*want)) << what << " row " << i;
  }
}

// Some rows of some columns of one row group, with dictionaries where they are taken.
void CompareRun(Random* random, const LakeFile& file, int group, int* dictionaries) {
  const std::shared_ptr<arrow::Table> expected = ReadGroupByArrow(file.path(), group);
  const int64_t rows = expected->num_rows();
  const int64_t begin = Between(random, 0, 1) == 0 ? 0 : Between(random, 0, rows);
  const int64_t end = Between(random, 0, 1) == 0 ? rows : Between(random, begin, rows);
  std::vector<std::string> columns, accepted;
  for (const std::string& name : expected->ColumnNames()) {
    if (Between(random, 0, 5) > 0) columns.push_back(name);
    if (Between(random, 0, 1) == 0) accepted.push_back(name);
  }
  const int64_t batch_rows = Pick<int64_t>(random, {1, 10, 97, 5000});
  auto reader = file.Read(group, begin, end, columns, batch_rows);
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  (*reader)->AcceptDictionaries(accepted);
  int64_t row = begin;
  while (true) {
    auto batch = (*reader)->Next();
    ASSERT_TRUE(batch.ok()) << batch.status().ToString();
    if (*batch == nullptr) break;
    ASSERT_LE((*batch)->num_rows(), batch_rows);
    ASSERT_EQ((*batch)->num_columns(), static_cast<int>(columns.size()));
    for (const std::string& name : columns) {
      const auto part = expected->GetColumnByName(name)->Slice(row, (*batch)->num_rows());
      const auto found = (*batch)->GetColumnByName(name);
      *dictionaries += found->type_id() == arrow::Type::DICTIONARY && name != "dictionary";
      ExpectSameValues(*found, *part, name + " from row " + std::to_string(row));
      if (::testing::Test::HasFatalFailure()) return;
    }
    row += (*batch)->num_rows();
  }
  EXPECT_EQ(row, end);
}

TEST(ParquetRows, ReadsWhatArrowReads) {
  const char* given = std::getenv("WEIR_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  const char* rounds = std::getenv("WEIR_TEST_ROUNDS");
  TempFolder folder;
  int dictionaries = 0;
  for (int64_t round = 0; round < (rounds != nullptr ? std::atoll(rounds) : 25); ++round) {
    Random random(seed + round);
    SCOPED_TRACE("WEIR_TEST_ROUNDS=1 WEIR_TEST_SEED=" + std::to_string(seed + round));
    const std::string path = folder / ("a" + std::to_string(round) + ".parquet");
    WriteRandomly(&random, path, *RandomTable(&random, Pick<int64_t>(&random, {1, 50, 700, 2500})));
    if (HasFatalFailure()) return;
    auto entries = ListFiles(Source(path));
    ASSERT_TRUE(entries.ok());
    auto file = LakeFile::Open(entries->front(), DataConfig());
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    for (int group = 0; group < static_cast<int>((*file)->row_groups().size()); ++group) {
      CompareRun(&random, **file, group, &dictionaries);
      if (HasFailure()) return;
    }
    std::filesystem::remove(path);
  }
  // Else half of the reader was not looked at.
  EXPECT_TRUE(dictionaries > 0 || rounds != nullptr);
}

// Rows a row reader handed out stay as they are while it reads on.
TEST(ParquetRows, BatchesKeepTheirValues) {
  TempFolder folder;
  WriteParquet(folder / "a.parquet", NumberedRows(0, 1000), 1000);
  auto entries = ListFiles(Source(folder / "a.parquet"));
  auto file = LakeFile::Open(entries->front(), DataConfig());
  ASSERT_TRUE(file.ok());
  auto reader = (*file)->Read(0, 0, 1000, {"id"}, 100);
  ASSERT_TRUE(reader.ok());
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int b = 0; b < 10; ++b) batches.push_back((*reader)->Next().value());
  for (int64_t id = 0; id < 1000; ++id) {
    ASSERT_EQ(static_cast<const arrow::Int64Array&>(*batches[id / 100]->column(0)).Value(id % 100), id);
  }
}

// ---- Page headers

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Int32(int32_t value) {
  return Varint((static_cast<uint32_t>(value) << 1) ^ static_cast<uint32_t>(value >> 31));
}
// A field whose number is one more than the one before.
std::string Field(int type, const std::string& value) { return static_cast<char>(0x10 | type) + value; }

constexpr int kI32 = 5, kStruct = 12, kBinary = 8;

std::string V1Header(int32_t packed, int32_t values, const std::string& statistics = "") {
  const std::string contents = Field(kI32, Int32(values)) + Field(kI32, Int32(0)) + Field(kI32, Int32(3)) +
                               Field(kI32, Int32(3)) +
                               (statistics.empty() ? "" : Field(kStruct, Field(kBinary, statistics) + '\0')) + '\0';
  return Field(kI32, Int32(0)) + Field(kI32, Int32(99)) + Field(kI32, Int32(packed)) + Field(kI32, Int32(-2)) +
         Field(kStruct, contents) + '\0';
}

TEST(PageHeader, ReadsADataPage) {
  const std::string bytes = V1Header(77, 1000, Varint(3) + "abc");
  PageHeader header;
  auto size = ParsePageHeader(bytes + "what follows", &header);
  ASSERT_TRUE(size.ok()) << size.status().ToString();
  EXPECT_EQ(*size, static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(header.type, PageHeader::kDataV1);
  EXPECT_EQ(header.unpacked_bytes, 99);
  EXPECT_EQ(header.packed_bytes, 77);
  EXPECT_EQ(header.crc, 0xfffffffe);
  EXPECT_EQ(header.num_values, 1000);
  EXPECT_EQ(header.encoding, 0);
  EXPECT_EQ(header.definition_encoding, 3);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    auto torn = ParsePageHeader(bytes.substr(0, cut), &header);
    ASSERT_TRUE(torn.ok()) << torn.status().ToString();
    EXPECT_EQ(*torn, 0) << cut;
  }
}

TEST(PageHeader, RefusesWhatCannotBe) {
  PageHeader header;
  ExpectError(ParsePageHeader(V1Header(-1, 10), &header).status(), StatusCode::kDataLoss, {"compressed size", "-1"});
  ExpectError(ParsePageHeader(V1Header(1, -10), &header).status(), StatusCode::kDataLoss, {"number of values", "-10"});
  ExpectError(ParsePageHeader(std::string(1, '\0'), &header).status(), StatusCode::kDataLoss, {"a type"});
  const std::string no_contents = Field(kI32, Int32(0)) + Field(kI32, Int32(9)) + Field(kI32, Int32(9)) + '\0';
  ExpectError(ParsePageHeader(no_contents, &header).status(), StatusCode::kDataLoss, {"struct of the page's type"});
  // Structs without end, lists, numbers of too many bytes.
  ExpectError(ParsePageHeader(std::string(1000, '\x1c'), &header).status(), StatusCode::kDataLoss, {"Thrift"});
  ExpectError(ParsePageHeader("\x19\x15", &header).status(), StatusCode::kDataLoss, {"Thrift"});
  ExpectError(ParsePageHeader("\x15" + std::string(20, '\xff'), &header).status(), StatusCode::kDataLoss, {"Thrift"});
}

TEST(PageHeader, AnyBytesGiveAHeaderOrAnError) {
  Random random(5);
  const std::string whole = V1Header(77, 1000, Varint(3) + "abc");
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole;
    if (i % 2 == 0) {
      for (char& byte : bytes) byte = static_cast<char>(random());
    } else {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    PageHeader header;
    auto size = ParsePageHeader(bytes, &header);
    if (!size.ok() || *size == 0) continue;
    EXPECT_LE(*size, static_cast<int64_t>(bytes.size()));
    EXPECT_GE(header.packed_bytes, 0);
    EXPECT_GE(header.unpacked_bytes, 0);
  }
}

}  // namespace
}  // namespace weir
