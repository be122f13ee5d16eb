#include "data_loader/formats/tf_record_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>

#include "data_loader/formats/row_group_cutter.h"
#include "data_loader/formats/tf_example.h"
#include "data_loader/formats/tf_record.h"
#include "data_loader/loader.h"
#include "tests/data_loader/formats/format_fixture.h"

namespace weir {
namespace {

using Strings = std::vector<std::string>;

// Protobuf's own encoding of tf.Example, from text.
class Examples {
 public:
  Examples() {
    google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        R"(name: "example.proto" syntax: "proto3"
           message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
           message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
           message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
           message_type {
             name: "Feature"
             field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: "BytesList" oneof_index: 0 }
             field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: "FloatList" oneof_index: 0 }
             field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: "Int64List" oneof_index: 0 }
             oneof_decl { name: "kind" }
           }
           message_type {
             name: "Entry"
             field { name: "key" number: 1 type: TYPE_STRING }
             field { name: "value" number: 2 type: TYPE_MESSAGE type_name: "Feature" }
           }
           message_type {
             name: "Features"
             field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Entry" }
           }
           message_type { name: "Example" field { name: "features" number: 1 type: TYPE_MESSAGE type_name: "Features" } }
           message_type {
             name: "FeatureLists"
             field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Feature" }
           }
           message_type {
             name: "SequenceExample"
             field { name: "context" number: 1 type: TYPE_MESSAGE type_name: "Features" }
             field { name: "feature_lists" number: 2 type: TYPE_MESSAGE type_name: "FeatureLists" }
           })",
        &file));
    file_ = pool_.BuildFile(file);
  }

  std::string Encode(const std::string& text, const char* message = "Example") {
    std::unique_ptr<google::protobuf::Message> made(
        factory_.GetPrototype(file_->FindMessageTypeByName(message))->New());
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, made.get())) << text;
    return made->SerializeAsString();
  }

 private:
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
  const google::protobuf::FileDescriptor* file_ = nullptr;
};

std::string Ints(const std::string& name, const std::string& values) {
  return "feature { key: '" + name + "' value { int64_list { value: [" + values + "] } } } ";
}
std::string Floats(const std::string& name, const std::string& values) {
  return "feature { key: '" + name + "' value { float_list { value: [" + values + "] } } } ";
}
std::string Bytes(const std::string& name, const std::string& values) {
  return "feature { key: '" + name + "' value { bytes_list { value: [" + values + "] } } } ";
}

class TfRecordFiles : public ::testing::Test {
 protected:
  std::string Record(const std::string& features) {
    return TfRecordOf(examples_.Encode("features { " + features + " }"));
  }
  Status ReadStatus(const std::string& bytes, const DataConfig& config = {}) {
    return ReadPath(folder_.Write("a.tfrecord", bytes), config).status();
  }

  Examples examples_;
  TempFolder folder_;
};

TEST_F(TfRecordFiles, FeaturesAreColumns) {
  const std::string path = folder_.Write(
      "a.tfrecord",
      Record(Ints("clicked", "1") + Floats("price", "1.5") + Ints("items", "5,-6,7") + Bytes("city", "'Ulm'")) +
          Record(Ints("clicked", "0") + Ints("items", "") + Bytes("city", "''")) +
          Record(Ints("clicked", "1") + Floats("price", "") + Bytes("tags", "'a','b'") +
                 "feature { key: 'city' value {} }"));
  auto table = ReadPath(path);
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_EQ((*table)->schema()->ToString(),
            "city: binary\nclicked: int64\nitems: list<item: int64>\nprice: float\ntags: list<item: binary>");
  EXPECT_EQ(Texts(**table, "clicked"), (Strings{"1", "0", "1"}));
  EXPECT_EQ(Texts(**table, "price"), (Strings{"1.5", "null", "null"}));
  const auto items = std::static_pointer_cast<arrow::ListArray>((*table)->GetColumnByName("items")->chunk(0));
  EXPECT_EQ(items->value_length(0), 3);
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*items->values()).Value(1), -6);
  EXPECT_FALSE(items->IsNull(1));
  EXPECT_TRUE(items->IsNull(2));
  const auto city = std::static_pointer_cast<arrow::BinaryArray>((*table)->GetColumnByName("city")->chunk(0));
  EXPECT_EQ(city->GetView(0), "Ulm");
  EXPECT_FALSE(city->IsNull(1));
  EXPECT_TRUE(city->IsNull(2));
}

TEST_F(TfRecordFiles, ListsMayBeNamed) {
  const std::string one = Record(Ints("items", "5")), two = Record(Ints("items", "5,6"));
  std::string bytes;
  for (int i = 0; i < kGroupRows; ++i) bytes += one;
  ExpectError(ReadStatus(bytes + two), StatusCode::kInvalidArgument,
              {"a.tfrecord", "record 8193", "'items'", "one value", "found 2", "list_columns"});
  DataConfig config;
  config.mutable_tfrecord()->add_list_columns("items");
  EXPECT_TRUE(ReadStatus(bytes + two, config).ok());
  // A kind holds for the whole file, whatever is named.
  ExpectError(ReadStatus(bytes + Record(Bytes("items", "'x'")), config), StatusCode::kInvalidArgument,
              {"record 8193", "expected int64", "found bytes"});
  ExpectError(ReadStatus(one + Record(Floats("items", "1"))), StatusCode::kInvalidArgument,
              {"record 2", "expected int64", "found float"});
}

TEST_F(TfRecordFiles, ManyGroupsFromAnyRow) {
  std::string bytes;
  for (int i = 0; i < 20000; ++i) bytes += Record(Ints("id", std::to_string(i)) + Floats("x", "0.5"));
  for (const std::string& path :
       {folder_.Write("a.tfrecord", bytes), folder_.Write("b.tfrecord.gz", Gzip(bytes)),
        folder_.Write("c.tfrecord", Gzip(bytes.substr(0, bytes.size() / 2)) + Gzip(bytes.substr(bytes.size() / 2)))}) {
    auto file = OpenLakeFile(path);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_EQ((*file)->rows(), 20000);
    ASSERT_EQ((*file)->row_groups().size(), 3);
    auto rows = ReadRows(**file, {"id"}, 1000);
    ASSERT_TRUE(rows.ok()) << rows.status().ToString();
    const auto ids = Texts(**rows, "id");
    EXPECT_EQ((*rows)->num_columns(), 1);
    ASSERT_EQ(ids.size(), 17000);
    EXPECT_EQ(ids.front(), "1000");
    EXPECT_EQ(ids[kGroupRows - 1000], std::to_string(kGroupRows + 1000));
    EXPECT_EQ(ids.back(), "19999");
  }
}

TEST_F(TfRecordFiles, DamageIsTold) {
  const std::string one = Record(Ints("id", "77") + Bytes("city", "'Ulm'")), whole = one + one + one;
  for (size_t size = 1; size < whole.size(); ++size) {
    const Status status = ReadStatus(whole.substr(0, size));
    EXPECT_EQ(status.ok(), size % one.size() == 0) << size;
    if (!status.ok()) ExpectError(status, StatusCode::kDataLoss, {"a.tfrecord"});
  }
  for (size_t bit = 0; bit < whole.size() * 8; bit += 7) {
    std::string damaged = whole;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ExpectError(ReadStatus(damaged), StatusCode::kDataLoss, {"a.tfrecord", "checksum"});
  }
}

TEST_F(TfRecordFiles, WhatIsNoExample) {
  const std::string one = Record(Ints("id", "77"));
  ExpectError(ReadStatus(TfRecordOf("no protobuf")), StatusCode::kInvalidArgument, {"record 1", "tf.Example"});
  ExpectError(ReadStatus(TfRecordOf(examples_.Encode(
                  "context { " + Ints("id", "77") + "} feature_lists { feature { int64_list { value: 1 } } }",
                  "SequenceExample"))),
              StatusCode::kUnimplemented, {"record 1", "SequenceExample"});
  ExpectError(ReadStatus(std::string(100, 'x')), StatusCode::kDataLoss, {"byte 0", "no TFRecord"});
  std::string huge = one;
  for (int i = 0; i < 8; ++i) huge[i] = i == 5 ? 1 : 0;
  const uint32_t crc = MaskedCrc32c(std::string_view(huge).substr(0, 8));
  huge.replace(8, 4, reinterpret_cast<const char*>(&crc), 4);
  ExpectError(ReadStatus(huge), StatusCode::kInvalidArgument, {"at most", "1099511627776"});
}

// Values of a list that is written in any of the ways protobuf allows, and keys that stand twice.
TEST_F(TfRecordFiles, DecodesWhatProtobufWouldMerge) {
  TfFeature feature;
  const std::string int64s("\x1a\x03\x0a\x01\x05\x1a\x02\x08\x06", 9);  // packed, then not, in two lists of the oneof
  ASSERT_TRUE(DecodeTfFeature(int64s, &feature).ok());
  EXPECT_EQ(feature.integers, (std::vector<int64_t>{5, 6}));
  const std::string replaced = int64s + std::string("\x0a\x03\x0a\x01x", 5);  // another kind replaces it
  ASSERT_TRUE(DecodeTfFeature(replaced, &feature).ok());
  EXPECT_EQ(feature.kind, TfFeatureKind::kBytes);
  EXPECT_EQ(feature.size(), 1);
  // Two of one name: the last one counts.
  const std::string twice =
      examples_.Encode("features { " + Ints("id", "1") + "}") + examples_.Encode("features { " + Ints("id", "2") + "}");
  auto table = ReadPath(folder_.Write("a.tfrecord", TfRecordOf(twice)));
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_EQ(Texts(**table, "id"), Strings{"2"});
}

TEST_F(TfRecordFiles, FeedAJob) {
  std::string bytes;
  for (int i = 0; i < 500; ++i) {
    bytes += Record(Ints("label", std::to_string(i % 2)) + Ints("items", std::to_string(i) + ",7") + Floats("x", "2"));
  }
  const std::string path = folder_.Write("a.tfrecord", bytes);
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddSparse(&job, "items");
  AddNumeric(&job, "x");
  LoaderOptions options;
  options.batch_size = 100;
  auto loader = Loader::Open(job, Source(path), options, {});
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  StepBatch step;
  int64_t samples = 0, keys = 0;
  while (*(*loader)->Next(&step)) {
    samples += step.batch.num_samples;
    keys += static_cast<int64_t>(step.batch.sparse[0].values.size());
  }
  EXPECT_EQ(samples, 500);
  EXPECT_EQ(keys, 1000);
}

}  // namespace
}  // namespace weir
