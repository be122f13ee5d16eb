#include "serving/export.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include <arrow/array/array_nested.h>
#include <arrow/array/array_primitive.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "checkpoint/arrow_row_files.h"
#include "checkpoint/checkpoint.h"
#include "embeddings/local_store.h"
#include "models/flat_parameters.h"
#include "proto/export.pb.h"
#include "tests/checkpoint/faulty_file_system.h"
#include "tests/checkpoint/temporary_folder.h"
#include "tests/models/job_fixture.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kShards = 16;
constexpr uint64_t kKeys = 300;

Job TrainableJob(int sparse, int numeric, int dim, const std::string& model) {
  Job job = MakeJob(sparse, numeric, dim, model);
  for (TableConfig& table : *job.mutable_tables()) {
    table.mutable_optimizer()->mutable_rowwise_adagrad();
    table.mutable_initializer()->mutable_uniform();
  }
  return job;
}

// A step of a run that never was: a model whose parameters are not the initial ones, and a pushed row for each key.
class ExportTest : public ::testing::Test {
 protected:
  void Commit(const Job& job) {
    job_ = job;
    model_ = MakeModel(job, FeaturesOf(job)).value();
    FlatParameters flat(*model_);
    for (size_t i = 0; i < flat.values().size(); ++i) flat.values()[i] *= 1 + 0.01f * static_cast<float>(i % 7);
    auto writer = CheckpointWriter::Begin(&LocalFileSystem(), root(), 1).value();
    std::vector<DenseTensor> tensors;
    for (const FlatParameter& p : flat.parameters()) {
      auto values = flat.values().subspan(p.offset, p.size);
      tensors.push_back({"parameter/" + p.name, p.shape, {values.begin(), values.end()}});
    }
    tensors.resize(tensors.size() - missing_tensors_);
    ASSERT_TRUE(writer->WriteDense(tensors).ok());
    PushRows();
    const std::vector<DataFile> files = store_->Save(1, writer->folder()).value();
    writer->AddFiles(files);
    Result<std::string> path = writer->Commit(MakeManifest());
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    checkpoint_ = *path;
  }
  Manifest MakeManifest() const {
    Manifest manifest;
    *manifest.mutable_job() = job_;
    manifest.mutable_hash_rule()->set_virtual_shards(kShards);
    for (const TableSpec& spec : TableSpecsFromJob(job_)) {
      TableSummary* table = manifest.add_tables();
      table->set_name(spec.name);
      table->set_dim(spec.layout.dim);
      table->set_rows(kKeys);
      for (const StateColumn& column : spec.layout.state) {
        StateSlot* slot = table->add_state();
        slot->set_name(column.name);
        slot->set_width(column.width);
      }
    }
    return manifest;
  }
  void PushRows() {
    row_files_ = MakeArrowRowFiles(&LocalFileSystem());
    store_ = MakeLocalStore(TableSpecsFromJob(job_), kShards, row_files_.get());
    keys_.clear();
    for (uint64_t key = 0; key < kKeys; ++key) keys_.push_back(key * 0x9e3779b97f4a7c15ULL);
    std::vector<TablePush> pushes;
    std::vector<std::vector<float>> gradients;
    for (int t = 0; t < job_.tables_size(); ++t) {
      gradients.push_back(ValuesOf(RandomTensor({static_cast<int64_t>(kKeys) * job_.tables(t).dim()}, 5 + t)));
    }
    for (int t = 0; t < job_.tables_size(); ++t) pushes.push_back({t, keys_, gradients[t].data()});
    ASSERT_TRUE(store_->Push(1, pushes).ok());
  }

  std::string root() const { return folder_.path() + "/checkpoints"; }
  std::string out() const { return folder_.path() + "/exported"; }
  // All names beside the checkpoints.
  std::vector<std::string> Beside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      if (entry.path() != root()) names.push_back(entry.path().filename());
    }
    return names;
  }
  ExportManifest ReadManifestJson() const {
    std::ifstream stream(out() + "/export.json");
    std::stringstream json;
    json << stream.rdbuf();
    ExportManifest manifest;
    CHECK(google::protobuf::util::JsonStringToMessage(json.str(), &manifest).ok());
    return manifest;
  }

  TemporaryFolder folder_;
  Job job_;
  size_t missing_tensors_ = 0;
  std::shared_ptr<Model> model_;
  std::unique_ptr<RowFiles> row_files_;
  std::unique_ptr<EmbeddingStore> store_;
  std::vector<uint64_t> keys_;
  std::string checkpoint_;
};

TEST_F(ExportTest, TheTracedNetGivesTheModelsLogits) {
  const std::tuple<const char*, int, int, int> nets[] = {
      {"logistic_regression {}", 3, 2, 1},
      {"logistic_regression {}", 3, 0, 1},
      {"deepfm { hidden: 16 hidden: 8 dropout: 0.5 }", 3, 2, 5},
      {"deepfm { hidden: 16 }", 3, 0, 5},
      {"dlrm { bottom: 12 top: 16 top: 8 dropout: 0.5 }", 3, 2, 5},
      {"dlrm { top: 16 }", 3, 0, 5},
  };
  for (const auto& [model, sparse, numeric, dim] : nets) {
    SCOPED_TRACE(model);
    fs::remove_all(out());
    fs::remove_all(root());
    Commit(TrainableJob(sparse, numeric, dim, model));
    Status status = ExportModel(&LocalFileSystem(), checkpoint_, out());
    ASSERT_TRUE(status.ok()) << status.ToString();
    torch::jit::Module module = torch::jit::load(out() + "/dense.pt");
    for (const at::Tensor& parameter : module.parameters()) EXPECT_FALSE(parameter.requires_grad());
    for (int64_t samples : {1, 5, 100}) {
      torch::Tensor numbers = RandomTensor({samples, numeric}, 11), pooled = RandomTensor({samples, sparse * dim}, 12);
      torch::Tensor logits = module.forward({numbers, pooled}).toTensor();
      EXPECT_EQ(logits.sizes(), at::IntArrayRef({samples}));
      EXPECT_TRUE(at::allclose(logits, model_->Forward(numbers, pooled, ForwardContext{}), 1e-6, 1e-6));
    }
  }
}

TEST_F(ExportTest, TheRowsAreTheStores) {
  Commit(TrainableJob(2, 1, 5, "deepfm { hidden: 4 }"));
  ASSERT_TRUE(ExportModel(&LocalFileSystem(), checkpoint_, out()).ok());
  for (int t = 0; t < 2; ++t) {
    std::vector<float> expected(kKeys * 5);
    const TablePull pull{t, keys_, expected.data()};
    ASSERT_TRUE(store_->Pull(2, PullKind::kEvaluation, {&pull, 1}).ok());
    auto file = arrow::io::ReadableFile::Open(out() + "/rows-C" + std::to_string(t) + ".parquet").ValueOrDie();
    auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
    std::shared_ptr<arrow::Table> table = reader->ReadTable().ValueOrDie()->CombineChunks().ValueOrDie();
    EXPECT_EQ(table->schema()->field(0)->ToString(), "key: uint64 not null");
    EXPECT_EQ(table->schema()->field(1)->type()->id(), arrow::Type::FIXED_SIZE_LIST);
    auto keys = std::static_pointer_cast<arrow::UInt64Array>(table->column(0)->chunk(0));
    auto vectors = std::static_pointer_cast<arrow::FixedSizeListArray>(table->column(1)->chunk(0));
    auto elements = std::static_pointer_cast<arrow::FloatArray>(vectors->values());
    std::map<uint64_t, std::vector<float>> found;
    for (int64_t i = 0; i < table->num_rows(); ++i) {
      const float* vector = elements->raw_values() + vectors->value_offset(i);
      found[keys->Value(i)] = {vector, vector + 5};
    }
    ASSERT_EQ(found.size(), kKeys);
    ASSERT_EQ(table->num_rows(), static_cast<int64_t>(kKeys));
    for (uint64_t i = 0; i < kKeys; ++i) {
      EXPECT_EQ(found[keys_[i]], std::vector<float>(expected.begin() + i * 5, expected.begin() + i * 5 + 5));
    }
  }
}

TEST_F(ExportTest, TheManifestSaysHowThePartsFit) {
  Job job = TrainableJob(2, 1, 5, "dlrm { bottom: 4 top: 4 }");
  job.mutable_tables(1)->set_name("user/id");
  job.mutable_features(1)->mutable_sparse()->set_table("user/id");
  job.mutable_features(1)->mutable_sparse()->set_pooling(SparseConfig::MEAN);
  for (const auto pooling : {SparseConfig::WEIGHTED_SUM, SparseConfig::NONE}) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(SparseConfig::Pooling_Name(pooling));
    feature->mutable_sparse()->set_table("C0");
    feature->mutable_sparse()->set_pooling(pooling);
  }
  job.mutable_features(3)->mutable_sparse()->set_weight_column("shares");
  job.mutable_features(4)->mutable_sparse()->set_max_length(3);
  Commit(job);
  ASSERT_TRUE(ExportModel(&LocalFileSystem(), checkpoint_, out() + "/").ok());
  const ExportManifest manifest = ReadManifestJson();
  EXPECT_EQ(manifest.format_version(), 1);
  EXPECT_EQ(manifest.step(), 1);
  EXPECT_EQ(manifest.hash_rule().version(), kHashRuleVersion);
  EXPECT_THAT(manifest.numeric(), ElementsAre("I0"));
  ASSERT_EQ(manifest.sparse_size(), 4);
  EXPECT_EQ(manifest.sparse(1).feature(), "C1");
  EXPECT_EQ(manifest.sparse(1).table(), "user/id");
  EXPECT_EQ(manifest.sparse(1).offset(), 5);
  EXPECT_EQ(manifest.sparse(1).pooling(), SparseConfig::MEAN);
  EXPECT_EQ(manifest.sparse(1).width(), 5);
  EXPECT_TRUE(manifest.sparse(1).has_max_length());  // all fields are written
  EXPECT_TRUE(manifest.sparse(1).has_weight_column());
  EXPECT_EQ(manifest.sparse(2).pooling(), SparseConfig::WEIGHTED_SUM);
  EXPECT_EQ(manifest.sparse(2).weight_column(), "shares");
  EXPECT_EQ(manifest.sparse(3).pooling(), SparseConfig::NONE);
  EXPECT_EQ(manifest.sparse(3).offset(), 15);
  EXPECT_EQ(manifest.sparse(3).dim(), 5);
  EXPECT_EQ(manifest.sparse(3).width(), 15);
  EXPECT_EQ(manifest.sparse(3).max_length(), 3);
  EXPECT_EQ(manifest.pooled_dim(), 30);
  ASSERT_EQ(manifest.tables_size(), 2);
  EXPECT_EQ(manifest.tables(1).file(), "rows-user%2Fid.parquet");
  EXPECT_EQ(manifest.tables(1).rows(), kKeys);
  EXPECT_EQ(manifest.tables(1).bytes(), fs::file_size(out() + "/rows-user%2Fid.parquet"));
  EXPECT_EQ(manifest.tables(1).seed(), TableSpecsFromJob(job)[1].seed);
  EXPECT_EQ(manifest.job().DebugString(), job.DebugString());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(out())) names.push_back(entry.path().filename());
  EXPECT_THAT(names, UnorderedElementsAre("dense.pt", "rows-C0.parquet", "rows-user%2Fid.parquet", "export.json",
                                          "job.textproto", "README.md"));
}

TEST_F(ExportTest, TakesARunsFolderAndAnEmptyTarget) {
  Commit(TrainableJob(2, 0, 1, "logistic_regression {}"));
  fs::create_directories(out());
  Status status = ExportModel(&LocalFileSystem(), folder_.path(), out());
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_THAT(Beside(), ElementsAre("exported"));
}

TEST_F(ExportTest, LeavesAFolderWithFilesAlone) {
  Commit(TrainableJob(2, 0, 1, "logistic_regression {}"));
  fs::create_directories(out());
  std::ofstream(out() + "/mine.txt") << "keep";
  Status status = ExportModel(&LocalFileSystem(), checkpoint_, out());
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(status.message(), HasSubstr("expected an empty folder or none"));
  EXPECT_TRUE(fs::exists(out() + "/mine.txt"));
  EXPECT_THAT(Beside(), ElementsAre("exported"));
}

TEST_F(ExportTest, ADamagedRowFileIsNotExported) {
  Commit(TrainableJob(2, 0, 1, "logistic_regression {}"));
  for (const auto& entry : fs::directory_iterator(checkpoint_)) {
    if (entry.path().filename().string().rfind("rows-", 0) != 0) continue;
    std::fstream stream(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(fs::file_size(entry.path()) / 2));
    stream.put('\x5a').put('\xa5');
  }
  Status status = ExportModel(&LocalFileSystem(), checkpoint_, out());
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_THAT(Beside(), IsEmpty());
}

TEST_F(ExportTest, AMissingTensorIsNamed) {
  missing_tensors_ = 1;
  Commit(TrainableJob(2, 1, 1, "logistic_regression {}"));
  Status status = ExportModel(&LocalFileSystem(), checkpoint_, out());
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("dense tensor parameter/bias: expected in the checkpoint, not found"));
  EXPECT_THAT(Beside(), IsEmpty());
}

TEST_F(ExportTest, AFullDiskLeavesNothingHalf) {
  Commit(TrainableJob(1, 0, 1, "logistic_regression {}"));
  FaultyFileSystem counting(&LocalFileSystem());
  ASSERT_TRUE(ExportModel(&counting, checkpoint_, out()).ok());
  const int64_t calls = counting.calls();
  int64_t failures = 0;
  for (int64_t call = 0; call < calls; ++call) {
    fs::remove_all(out());
    FaultyFileSystem full(&LocalFileSystem());
    full.FillAtCall(call);
    Status status = ExportModel(&full, checkpoint_, out());
    if (status.ok()) continue;  // a close, which takes no space
    ++failures;
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << call << ": " << status.ToString();
    // The last call makes the rename durable: all is there by then.
    if (call + 1 == calls) continue;
    EXPECT_THAT(Beside(), IsEmpty()) << "call " << call << " of " << calls;
  }
  EXPECT_GT(failures, 10);
}

}  // namespace
}  // namespace weir
