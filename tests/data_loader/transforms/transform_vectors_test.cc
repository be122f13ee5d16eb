// Holds every transform to vectors.txt, and its version to job.proto's. A block there:
//
//   transform NAME VERSION          "columns.time", "numeric.log": as checkpoints name it (transform_versions.h)
//   config TEXT                     of ColumnConfig, or of FeatureConfig
//   input TYPE JSON                 a column, one line each
//   output TYPE JSON                the column made; of features "numbers" [samples, columns] or "keys" by sample
#include <fstream>
#include <set>
#include <sstream>

#include "data_loader/extractor.h"
#include "data_loader/formats/lake_file.h"
#include "proto/field_options.pb.h"
#include "proto/transform_versions.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/transforms/transform_fixture.h"

namespace weir {
namespace {

struct Vector {
  std::string name;
  int version = 0;
  std::string config;
  std::vector<Input> inputs;
  std::string output_type, output;
};

std::vector<Vector> ReadVectors() {
  std::ifstream file(std::string(WEIR_SOURCE_DIR) + "/tests/data_loader/transforms/vectors.txt");
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, type, rest;
    words >> kind;
    if (kind == "transform") {
      vectors.emplace_back();
      words >> vectors.back().name >> vectors.back().version;
    } else if (kind == "config") {
      vectors.back().config = line.substr(7);
    } else if (kind == "input" || kind == "output") {
      words >> type;
      std::getline(words, rest);
      if (kind == "input") vectors.back().inputs.push_back(Column(type, rest));
      if (kind == "output") vectors.back().output_type = type, vectors.back().output = rest;
    }
  }
  return vectors;
}

// Every field of a message that is a transform, "numeric.log".
void CollectVersions(const google::protobuf::Descriptor& type, const std::string& prefix,
                     std::map<std::string, int>* versions) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldSpec& spec = type.field(i)->options().GetExtension(weir::spec);
    if (spec.has_version()) (*versions)[prefix + type.field(i)->name()] = spec.version();
  }
}

std::map<std::string, int> AllVersions() {
  std::map<std::string, int> versions;
  CollectVersions(*ColumnConfig::descriptor(), "columns.", &versions);
  CollectVersions(*SparseConfig::descriptor(), "sparse.", &versions);
  CollectVersions(*NumericConfig::descriptor(), "numeric.", &versions);
  return versions;
}

TEST(TransformVectors, EveryTransformHasSomeOfItsVersion) {
  std::map<std::string, int> newest;
  for (const Vector& vector : ReadVectors()) newest[vector.name] = std::max(newest[vector.name], vector.version);
  EXPECT_EQ(newest, AllVersions());
}

TEST(TransformVectors, EveryTransformOfAColumnIsRegistered) {
  std::set<std::string> declared;
  const auto* transform = ColumnConfig::descriptor()->FindOneofByName("transform");
  for (int i = 0; i < transform->field_count(); ++i) declared.insert(transform->field(i)->name());
  const std::vector<std::string> names = TransformNames();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), declared);
}

// The file that the vectors of lookup name.
std::string WithItems(std::string config, const std::string& path) {
  if (const size_t at = config.find("items.csv"); at != std::string::npos) {
    const FileDigest digest = *SideFiles::Digest(path);
    config.replace(at, 10, path + "\" file { " + digest.ShortDebugString() + " }");
  }
  return config;
}

TEST(TransformVectors, ColumnsMatch) {
  TempFolder folder;
  const std::string items = folder.Write("items.csv", "id,tag\n1,a\n2,b\n");
  for (const Vector& vector : ReadVectors()) {
    if (!vector.name.starts_with("columns.")) continue;
    const Made made = Transform(WithItems(vector.config, items), vector.inputs);
    ASSERT_TRUE(made.status.ok()) << vector.config << made.status.ToString();
    EXPECT_TRUE(made.bad.empty()) << vector.config << made.bad[0].reason << made.bad[0].value;
    const auto expected = ArrayOfJson(vector.output_type, vector.output);
    EXPECT_TRUE(made.array->Equals(expected))
        << vector.config << "\nexpected " << expected->ToString() << "\nfound " << made.array->ToString();
  }
}

std::string KeysAsJson(const Jagged& keys) {
  std::string json = "[";
  for (int64_t i = 0; i < keys.num_samples(); ++i) {
    json += i == 0 ? "[" : ", [";
    for (size_t v = 0; v < keys.sample(i).size(); ++v) {
      json += (v == 0 ? "\"" : ", \"") + std::to_string(keys.sample(i)[v]) + "\"";
    }
    json += "]";
  }
  return json + "]";
}

TEST(TransformVectors, FeaturesMatch) {
  for (const Vector& vector : ReadVectors()) {
    if (vector.name.starts_with("columns.")) continue;
    Job job;
    FeatureConfig* feature = job.add_features();
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(vector.config, feature)) << vector.config;
    feature->set_name("c");
    EXPECT_EQ(TransformVersions(job).count(vector.name), 1) << vector.config;
    const Input& input = vector.inputs[0];
    auto schema = arrow::schema({arrow::field("c", input.array->type())});
    if (input.type == "text") schema = AsText(schema);
    const auto extractor = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
    ASSERT_TRUE(extractor.ok()) << vector.config << extractor.status().ToString();
    Batch batch;
    std::vector<BadRow> bad;
    const auto rows = arrow::RecordBatch::Make(schema, input.array->length(), {input.array});
    ASSERT_TRUE((*extractor)->Extract(*rows, &batch, &bad).ok());
    EXPECT_TRUE(bad.empty()) << vector.config;
    if (vector.output_type == "keys") {
      EXPECT_EQ(" " + KeysAsJson(batch.sparse[0]), vector.output) << vector.config;
      continue;
    }
    const auto expected = ArrayOfJson("list<float>", vector.output);
    const auto& numbers = static_cast<const arrow::FloatArray&>(*static_cast<arrow::ListArray&>(*expected).values());
    ASSERT_EQ(static_cast<size_t>(numbers.length()), batch.numeric.size()) << vector.config;
    for (int64_t i = 0; i < numbers.length(); ++i) EXPECT_FLOAT_EQ(batch.numeric[i], numbers.Value(i)) << vector.config;
  }
}

}  // namespace
}  // namespace weir
