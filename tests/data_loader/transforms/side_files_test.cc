// Files beside the lake: vocabularies and lookups, by themselves and in an extractor.
#include "data_loader/transforms/side_files.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include "data_loader/extractor.h"
#include "data_loader/formats/lake_file.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"
#include "tests/data_loader/transforms/transform_fixture.h"

namespace weir {
namespace {

// As a fitted job has it.
std::string LookupIn(const std::string& path, const std::string& rest = "key: \"id\" value: \"v\"") {
  const auto digest = SideFiles::Digest(path);
  EXPECT_TRUE(digest.ok()) << digest.status().ToString();
  return fmt::format("lookup {{ uri: \"{}\" {} file {{ {} }} }}", path, rest, digest->ShortDebugString());
}

std::string WriteItems(const TempFolder& folder) {
  WriteParquet(folder / "items.parquet",
               MakeTable({{"id", ArrayOfJson("int32", "[3, null, -1, 7]")},
                          {"v", ArrayOfJson("list<string>", R"([["a", "b"], ["x"], null, []])")},
                          {"price", ArrayOfJson("double", "[0.5, 1, 2, null]")}}),
               /*group_rows=*/2);
  return folder / "items.parquet";
}

TEST(Lookup, TakesColumnsOfAllTypes) {
  TempFolder folder;
  const std::string path = WriteItems(folder);
  for (const char* type : {"int8", "int64", "uint32", "text"}) {
    const bool text = std::string(type) == "text";
    const Input ids = Column(type, text ? R"(["3", "7", null, "99"])" : "[3, 7, null, 99]");
    const Made lists = Transform(LookupIn(path), {ids});
    ASSERT_TRUE(lists.status.ok()) << lists.status.ToString();
    EXPECT_TRUE(lists.array->Equals(ArrayOfJson("list<string>", R"([["a", "b"], [], null, null])")));
    const Made prices = Transform(LookupIn(path, "key: \"id\" value: \"price\""), {ids});
    EXPECT_TRUE(prices.array->Equals(ArrayOfJson("double", "[0.5, null, null, null]")));
    EXPECT_TRUE(prices.bad.empty());
  }
  const Made history =
      Transform(LookupIn(path, "key: \"id\" value: \"price\""), {Column("list<int64>", "[[3, 9, -1], null]")});
  EXPECT_TRUE(history.array->Equals(ArrayOfJson("large_list<double>", "[[0.5, null, 2], null]")));
  const Made bad = Transform(LookupIn(path), {Column("text", R"(["3", "three"])")});
  ASSERT_EQ(bad.bad.size(), 1u);
  EXPECT_EQ(bad.bad[0].reason, "is no integer");
}

TEST(Lookup, TextFilesGoByTheTypeOfTheIds) {
  TempFolder folder;
  const std::string path = folder.Write("items.csv", "id,v\n007,a\n8,b\n");
  EXPECT_TRUE(
      Transform(LookupIn(path), {Column("int64", "[7, 8]")}).array->Equals(ArrayOfJson("string", R"(["a", "b"])")));
  EXPECT_TRUE(Transform(LookupIn(path), {Column("text", R"(["7", "007"])")})
                  .array->Equals(ArrayOfJson("string", R"([null, "a"])")));
  const std::string piped = folder.Write("u.item", "1|x\n2|y\n");
  const std::string csv =
      "key: \"id\" value: \"v\" csv { delimiter: \"|\" header: false column_names: [\"id\", \"v\"] }";
  EXPECT_TRUE(
      Transform(LookupIn(piped, csv), {Column("int64", "[2]")}).array->Equals(ArrayOfJson("string", R"(["y"])")));
}

TEST(Lookup, SaysWhatIsWrongWithTheFile) {
  TempFolder folder;
  const std::string path = WriteItems(folder);
  const auto error = [](const std::string& config, const Input& ids) { return Transform(config, {ids}).status; };
  const Input integers = Column("int64", "[]");
  ExpectError(error(LookupIn(path, "key: \"idd\" value: \"v\""), integers), StatusCode::kInvalidArgument,
              {path, "expected one column 'idd'", "did you mean \"id\""});
  ExpectError(error(LookupIn(path), Column("string", "[]")), StatusCode::kInvalidArgument,
              {"column id: expected integers or strings, as the column that is looked up has (string), found int32"});
  ExpectError(error(LookupIn(path), Column("list<int64>", "[]")), StatusCode::kInvalidArgument, {"one id a row"});
  ExpectError(error(LookupIn(path, "key: \"id\" value: \"v\" memory: \"40B\""), integers),
              StatusCode::kResourceExhausted, {path, "take more than lookup.memory, 40B"});
  ExpectError(error(LookupIn(folder.Write("twice.csv", "id,v\n1,a\n2,b\n1,c\n")), integers),
              StatusCode::kInvalidArgument, {"twice.csv", "expected each id once, found '1' in row 0 and in row 2"});
  ExpectError(error(LookupIn(folder.Write("words.csv", "id,v\none,a\n")), integers), StatusCode::kInvalidArgument,
              {"words.csv", "row 0: expected an integer"});
  folder.Write("many/a.csv", "id,v\n1,a\n");
  folder.Write("many/b.csv", "id,v\n1,a\n");
  ExpectError(SideFiles::Digest(folder / "many").status(), StatusCode::kInvalidArgument,
              {"expected one file, found 2"});
  ExpectError(error("lookup { uri: \"" + path + "\" key: \"id\" value: \"v\" }", integers),
              StatusCode::kInvalidArgument, {"it was not fitted"});
}

TEST(SideFiles, RefuseAnotherFileThanTheJobWasMadeWith) {
  TempFolder folder;
  const std::string path = folder.Write("items.csv", "id,v\n1,a\n");
  const std::string lookup = LookupIn(path);
  const FileDigest digest = *SideFiles::Digest(path);
  folder.Write("items.csv", "id,v\n1,b\n");
  const Status changed = Transform(lookup, {Column("int64", "[1]")}).status;
  ExpectError(changed, StatusCode::kFailedPrecondition,
              {path, "expected the file that the job was made with, of 9 bytes"});
  SideFiles files;
  EXPECT_EQ(files.Lines(path, digest).status().code(), StatusCode::kFailedPrecondition);
  const auto lines = files.Lines(path, *SideFiles::Digest(path));
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(**lines, (std::vector<std::string>{"id,v", "1,b"}));
}

TEST(SideFiles, LargeVocabulariesAreReadFromTheirFile) {
  TempFolder folder;
  const std::string path = folder.Write("v.txt", "10\n20\n30\n");
  const std::string config =
      fmt::format("vocabulary {{ path: \"{}\" file {{ {} }} }}", path, SideFiles::Digest(path)->ShortDebugString());
  EXPECT_TRUE(Transform(config, {Column("int64", "[30, 10, 5]")}).array->Equals(ArrayOfJson("int64", "[2, 0, null]")));
}

// A job whose features are of columns made of others: of a history of items their categories, beside the items.
TEST(DerivedColumns, FeedFeaturesAsThoseOfFilesDo) {
  TempFolder folder;
  const std::string items = folder.Write("items.csv", "id,category,price\n1,10,0.5\n2,20,2\n3,10,8\n");
  Job job;
  const std::string text =
      fmt::format(R"(
    columns {{ name: "items" from: "history" split {{ separator: " " }} }}
    columns {{ name: "categories" from: "items" {} }}
    columns {{ name: "price" from: "item" {} }}
    columns {{ name: "hour" from: "at" time {{}} }}
    columns {{ name: "where_when" from: ["country", "hour"] cross {{}} }}
    columns {{ name: "unused_label" from: "click" time {{}} }}
    features {{ name: "items" column: "items" sparse {{ table: "i" type: INTEGER identity: true pooling: NONE max_length: 2
      keep: LAST group: "h" }} }}
    features {{ name: "categories" column: "categories" sparse {{ table: "c" type: INTEGER identity: true default_value: "-1"
      pooling: NONE max_length: 2 keep: LAST group: "h" }} }}
    features {{ name: "price" column: "price" numeric {{ default_value: -1 }} }}
    features {{ name: "where_when" column: "where_when" sparse {{ table: "w" }} }}
    data {{ label {{ column: "unused_label" }} }})",
                  LookupIn(items, "key: \"id\" value: \"category\""), LookupIn(items, "key: \"id\" value: \"price\""));
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &job));
  const auto schema =
      AsText(arrow::schema({arrow::field("history", arrow::utf8()), arrow::field("item", arrow::utf8()),
                            arrow::field("at", arrow::utf8()), arrow::field("country", arrow::utf8())}));
  const auto made = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ((*made)->columns(), (std::vector<std::string>{"history", "item", "country", "at"}));
  const auto rows = arrow::RecordBatch::Make(
      schema, 4,
      {ArrayOfJson("string", R"(["1 2 3", "3 9", null, "1"])"), ArrayOfJson("string", R"(["3", "9", "1", "2"])"),
       ArrayOfJson("string", R"(["2026-11-22T07:12:00Z", "0", "x", null])"),
       ArrayOfJson("string", R"(["DE", "DE", "FR", "DE"])")});
  Batch batch;
  std::vector<BadRow> bad;
  ASSERT_TRUE((*made)->Extract(*rows, &batch, &bad).ok());
  EXPECT_EQ(batch.sparse[0].values, (std::vector<uint64_t>{2, 3, 3, 9, 1}));
  EXPECT_EQ(batch.sparse[0].offsets, (std::vector<int32_t>{0, 2, 4, 4, 5}));
  EXPECT_EQ(batch.sparse[1].values, (std::vector<uint64_t>{20, 10, 10, ~uint64_t{0}, 10}));
  EXPECT_EQ(batch.sparse[1].offsets, batch.sparse[0].offsets);
  EXPECT_EQ(batch.numeric, (std::vector<float>{8, -1, 0.5, 2}));
  EXPECT_EQ(batch.sparse[2].offsets, (std::vector<int32_t>{0, 1, 2, 2, 2}));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].row, 2);
  EXPECT_EQ(bad[0].column, "at");
  const auto labelled = FeatureExtractor::Make(job, *schema, /*with_label=*/true);
  ExpectError(labelled.status(), StatusCode::kInvalidArgument,
              {"label: column unused_label: expected a column 'click'"});
}

TEST(DerivedColumns, OfTwoFilesHashTheSameKindsOfValues) {
  Job job;
  AddSparse(&job, "made");
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString("name: \"made\" from: [\"a\", \"b\"] cross {}", job.add_columns()));
  const auto extractor = [&](const std::string& a) {
    return FeatureExtractor::Make(job,
                                  *arrow::schema({arrow::field("a", TypeNamed(a)), arrow::field("b", arrow::int8())}),
                                  /*with_label=*/false);
  };
  const auto integers = extractor("int64"), others = extractor("list<uint8>"), strings = extractor("string");
  EXPECT_TRUE((*integers)->CheckAgrees(**others).ok());
  ExpectError((*integers)->CheckAgrees(**strings), StatusCode::kInvalidArgument,
              {"column made: expected integers, integers, as in the files before, found strings, integers"});
}

TEST(DerivedColumns, HaveNamesOfTheirOwn) {
  Job job;
  AddSparse(&job, "made");
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString("name: \"made\" from: \"a\" time {}", job.add_columns()));
  const auto schema = arrow::schema({arrow::field("a", arrow::int64()), arrow::field("made", arrow::int64())});
  ExpectError(FeatureExtractor::Make(job, *schema, false).status(), StatusCode::kInvalidArgument,
              {"column made: the file has a column of that name already"});
  job.mutable_columns(0)->set_from(0, "made");
  ExpectError(FeatureExtractor::Make(job, *schema->RemoveField(1).ValueOrDie(), false).status(),
              StatusCode::kInvalidArgument, {"column made: from: made does not stand above it"});
}

}  // namespace
}  // namespace weir
