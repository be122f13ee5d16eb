// Whole runs with several workers and servers in one process.
#include "trainer/train.h"

#include <cstdlib>
#include <filesystem>
#include <thread>

#include <ATen/Parallel.h>
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "checkpoint/arrow_row_files.h"
#include "checkpoint/checkpoint.h"
#include "embeddings/local_store.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"
#include "proto/job_text.h"
#include "trainer/in_process_collective.h"

namespace weir {
namespace {

constexpr int64_t kTimeoutNs = 30 * kNanosPerSecond;

constexpr char kJob[] = R"(
data { label { column: "label" } streams: 4 shuffle_rows: 64 }
features { name: "C[1-2]" sparse {} }
features { name: "x" numeric {} }
tables { name: "C[1-2]" dim: 4 }
model { dlrm { bottom: [8] top: [8] dropout: 0.1 } }
optimizers { rows { learning_rate: 0.05 adagrad {} } dense { learning_rate: 0.01 adam {} } }
train { batch_size: 32 epochs: 2 seed: 5 threads: 1 }
metrics { every_s: 3600 tensorboard: false }
)";

// `rows` samples whose label hangs on the first id.
void WriteData(const std::string& path, int64_t rows, uint64_t seed) {
  arrow::Int64Builder c1, c2;
  arrow::FloatBuilder x;
  arrow::Int32Builder label;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t id = BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, i, 0), 40);
    const double chance = id % 3 == 0 ? 0.8 : 0.2;
    ASSERT_TRUE(c1.Append(id).ok());
    ASSERT_TRUE(c2.Append(BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, i, 1), 500)).ok());
    ASSERT_TRUE(x.Append(UnitFloat(RandomBits(seed, RandomPurpose::kSampling, i, 2))).ok());
    ASSERT_TRUE(label.Append(UnitDouble(RandomBits(seed, RandomPurpose::kSampling, i, 3)) < chance).ok());
  }
  auto table =
      arrow::Table::Make(arrow::schema({arrow::field("C1", arrow::int64()), arrow::field("C2", arrow::int64()),
                                        arrow::field("x", arrow::float32()), arrow::field("label", arrow::int32())}),
                         {*c1.Finish(), *c2.Finish(), *x.Finish(), *label.Finish()});
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, 100).ok());
}

class TrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-train-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    WriteData(folder_ + "/train.parquet", 640, 1);
    WriteData(folder_ + "/eval.parquet", 300, 2);
    row_files_ = MakeArrowRowFiles(&LocalFileSystem());
    at::set_num_threads(1);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Job MakeJob(const std::string& output, std::vector<std::string> overrides) {
    overrides.push_back("data.train.uri=" + folder_ + "/train.parquet");
    overrides.push_back("output=" + folder_ + "/" + output);
    JobErrors errors;
    Result<Job> job = ReadJob("test", kJob, overrides, &errors);
    CHECK(job.ok()) << job.status().ToString();
    return *job;
  }

  // One worker over any store and collective.
  Result<TrainReport> TrainOne(const Job& job, EmbeddingStore* store, Collective* collective) {
    WEIR_ASSIGN_OR_RETURN(FeatureSet features, FeatureSet::FromJob(job));
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, MakeModel(job, features));
    FlatParameters parameters(*model);
    WEIR_ASSIGN_OR_RETURN(auto optimizer, DenseOptimizer::Make(job.optimizers().dense(), parameters.values().size()));
    Worker worker{&job, &features, model.get(), &parameters, optimizer.get(), store, collective};
    return Train(worker, TrainOptions());
  }

  Result<TrainReport> TrainAlone(const Job& job) {
    auto store = MakeLocalStore(TableSpecsFromJob(job), job.cluster().virtual_shards(), row_files_.get());
    return TrainOne(job, store.get(), MakeInProcessCollectives(1, kTimeoutNs)[0].get());
  }

  // Workers as threads, servers beside them.
  Result<TrainReport> TrainTogether(const Job& job, int workers, int servers) {
    const JobToken token = *MakeToken();
    std::vector<std::unique_ptr<Server>> running;
    std::vector<ServerAddress> addresses;
    for (int s = 0; s < servers; ++s) {
      ServerOptions options;
      options.server = s;
      options.num_servers = servers;
      options.num_workers = workers;
      options.token = token;
      options.virtual_shards = job.cluster().virtual_shards();
      options.tables = TableSpecsFromJob(job);
      options.row_files = row_files_.get();
      WEIR_ASSIGN_OR_RETURN(auto server, Server::Start(options));
      addresses.push_back(server->address());
      running.push_back(std::move(server));
    }
    auto collectives = MakeInProcessCollectives(workers, kTimeoutNs);
    std::vector<Result<TrainReport>> reports(workers, Result<TrainReport>(Internal("did not run")));
    std::vector<std::thread> threads;
    for (int w = 0; w < workers; ++w) {
      threads.emplace_back([&, w] {
        at::set_num_threads(1);
        RemoteStoreOptions options;
        options.worker = w;
        options.num_workers = workers;
        options.servers = addresses;
        options.token = token;
        options.virtual_shards = job.cluster().virtual_shards();
        options.tables = TableSpecsFromJob(job);
        auto store = RemoteStore::Connect(options);
        if (!store.ok()) {
          reports[w] = store.status();
          return;
        }
        reports[w] = TrainOne(job, store->get(), collectives[w].get());
        if (reports[w].ok()) collectives[w]->Barrier().IgnoreError();
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& report : reports) {
      if (!report.ok()) return report.status();
    }
    return reports[0];
  }

  void ExpectSame(const TrainReport& a, const TrainReport& b) {
    auto lines = DiffCheckpoints(&LocalFileSystem(), a.checkpoint, b.checkpoint, 10);
    ASSERT_TRUE(lines.ok()) << lines.status().ToString();
    EXPECT_THAT(*lines, ::testing::IsEmpty());
  }

  std::string EvalUri() const { return "data.eval.uri=" + folder_ + "/eval.parquet"; }

  std::string folder_;
  std::unique_ptr<RowFiles> row_files_;
};

#define ASSERT_RESULT(declaration, expression)                                                              \
  auto WEIR_CONCAT(checked_, __LINE__) = (expression);                                                      \
  ASSERT_TRUE(WEIR_CONCAT(checked_, __LINE__).ok()) << WEIR_CONCAT(checked_, __LINE__).status().ToString(); \
  declaration = std::move(WEIR_CONCAT(checked_, __LINE__)).value()

TEST_F(TrainTest, GoesThroughTheDataAndLearns) {
  ASSERT_RESULT(TrainReport report, TrainAlone(MakeJob("out", {EvalUri(), "train.epochs=8"})));
  EXPECT_EQ(report.steps, 160);
  EXPECT_EQ(report.samples, 8 * 640);
  EXPECT_TRUE(report.complete);
  ASSERT_TRUE(report.auc.has_value());
  EXPECT_GT(*report.auc, 0.72);  // the labels' own limit is .782
  EXPECT_GT(report.rows, 350);   // of 40 + 500 keys, most are drawn in 640 rows
}

TEST_F(TrainTest, ServersGiveTheBitsOfALocalStore) {
  ASSERT_RESULT(TrainReport alone, TrainAlone(MakeJob("alone", {})));
  for (int servers : {1, 3}) {
    ASSERT_RESULT(TrainReport served,
                  TrainTogether(MakeJob(fmt::format("served{}", servers), {}), /*workers=*/1, servers));
    ExpectSame(alone, served);
  }
}

// Rows that memory cannot hold: 64 of the 540 keys fit.
Job WithDisk(Job job, const std::string& path) {
  for (TableConfig& table : *job.mutable_tables()) {
    table.set_memory("4KiB");
    table.mutable_disk()->set_path(path);
  }
  return job;
}

TEST_F(TrainTest, ADiskGivesTheBitsOfMemory) {
  const std::string path = folder_ + "/disk";
  const std::vector<std::string> overrides = {EvalUri(), "train.eval_every_steps=15"};
  ASSERT_RESULT(TrainReport in_memory, TrainAlone(MakeJob("in_memory", overrides)));
  ASSERT_RESULT(TrainReport alone, TrainAlone(WithDisk(MakeJob("alone", overrides), path)));
  ExpectSame(in_memory, alone);
  EXPECT_EQ(alone.rows, in_memory.rows);
  EXPECT_EQ(alone.logloss, in_memory.logloss);
  EXPECT_FALSE(std::filesystem::exists(path));
  for (int servers : {1, 3}) {
    ASSERT_RESULT(TrainReport served,
                  TrainTogether(WithDisk(MakeJob(fmt::format("served{}", servers), overrides), path),
                                /*workers=*/1, servers));
    ExpectSame(in_memory, served);
    EXPECT_FALSE(std::filesystem::exists(path) && !std::filesystem::is_empty(path));
  }
}

TEST_F(TrainTest, ADiskMayComeAndGoBetweenResumes) {
  const std::string path = folder_ + "/disk";
  ASSERT_RESULT(TrainReport straight, TrainAlone(MakeJob("straight", {})));
  ASSERT_RESULT(TrainReport first, TrainAlone(WithDisk(MakeJob("halves", {"train.max_steps=13"}), path)));
  EXPECT_EQ(first.steps, 13);
  ASSERT_RESULT(TrainReport second, TrainAlone(WithDisk(MakeJob("halves", {"train.max_steps=26"}), path + "2")));
  EXPECT_EQ(second.steps, 26);
  ASSERT_RESULT(TrainReport third, TrainAlone(MakeJob("halves", {})));
  ExpectSame(straight, third);
}

TEST_F(TrainTest, SeveralWorkersGiveTheSameBitsOverAnyServers) {
  ASSERT_RESULT(TrainReport one, TrainTogether(MakeJob("one", {EvalUri()}), /*workers=*/3, /*servers=*/1));
  ASSERT_RESULT(TrainReport two, TrainTogether(MakeJob("two", {EvalUri()}), /*workers=*/3, /*servers=*/2));
  ExpectSame(one, two);
  EXPECT_EQ(one.samples, 2 * 640);
  EXPECT_EQ(one.auc, two.auc);
}

TEST_F(TrainTest, BucketsOfGradientsChangeNoBit) {
  // 640 samples in steps of 213: the last has one sample, and two workers none.
  const std::vector<std::string> plain = {"train.batch_size=213", "cluster.gradient_bucket_bytes=1000000"};
  ASSERT_RESULT(TrainReport whole, TrainTogether(MakeJob("whole", plain), /*workers=*/3, /*servers=*/1));
  for (const char* bytes : {"1", "150"}) {
    std::vector<std::string> overrides = {"train.batch_size=213",
                                          fmt::format("cluster.gradient_bucket_bytes={}", bytes)};
    ASSERT_RESULT(TrainReport cut,
                  TrainTogether(MakeJob(fmt::format("cut{}", bytes), overrides), /*workers=*/3, /*servers=*/1));
    ExpectSame(whole, cut);
  }
}

TEST_F(TrainTest, StopsEarlyAndKeepsTheBest) {
  const std::vector<std::string> overrides = {EvalUri(), "train.epochs=200", "train.eval_every_steps=10",
                                              "train.patience=3", "optimizers.rows.learning_rate=0.3"};
  const Job job = MakeJob("out", overrides);
  ASSERT_RESULT(TrainReport report, TrainAlone(job));
  EXPECT_TRUE(report.complete);
  EXPECT_LT(report.steps, 200 * 20);
  ASSERT_RESULT(Manifest best, ReadManifest(&LocalFileSystem(), report.checkpoint));
  EXPECT_EQ(best.step(), best.training().at_this_step().step());
  EXPECT_EQ(best.training().at_this_step().auc(), *report.auc);
  EXPECT_EQ(report.steps, best.step() + 3 * 10);

  // The same run, once stopped on the way, keeps the same one.
  std::vector<std::string> halted = overrides;
  halted.push_back("train.max_steps=20");
  ASSERT_RESULT(TrainReport first, TrainAlone(MakeJob("halves", halted)));
  EXPECT_EQ(first.steps, 20);
  ASSERT_RESULT(TrainReport rest, TrainAlone(MakeJob("halves", overrides)));
  EXPECT_EQ(rest.steps, report.steps);
  ExpectSame(report, rest);

  ASSERT_RESULT(TrainReport again, TrainAlone(job));
  EXPECT_TRUE(again.was_complete);
  EXPECT_EQ(again.auc, report.auc);
  EXPECT_EQ(again.checkpoint, report.checkpoint);
}

TEST_F(TrainTest, CommitsEveryNStepsAndKeepsTheNewest) {
  ASSERT_RESULT(TrainReport report, TrainAlone(MakeJob("out", {"checkpoint.every_steps=7", "checkpoint.keep=3"})));
  ASSERT_RESULT(auto entries, ListCheckpoints(&LocalFileSystem(), folder_ + "/out/checkpoints", nullptr));
  std::vector<int64_t> steps;
  for (const CheckpointEntry& entry : entries) steps.push_back(entry.step);
  EXPECT_THAT(steps, ::testing::ElementsAre(28, 35, 40));
  EXPECT_EQ(report.steps, 40);
  EXPECT_TRUE(entries.back().manifest.training().complete());
}

TEST_F(TrainTest, StopsOnRequestWithACommit) {
  const Job job = MakeJob("out", {});
  auto store = MakeLocalStore(TableSpecsFromJob(job), job.cluster().virtual_shards(), row_files_.get());
  ASSERT_RESULT(FeatureSet features, FeatureSet::FromJob(job));
  ASSERT_RESULT(std::shared_ptr<Model> model, MakeModel(job, features));
  FlatParameters parameters(*model);
  ASSERT_RESULT(auto optimizer, DenseOptimizer::Make(job.optimizers().dense(), parameters.values().size()));
  auto collectives = MakeInProcessCollectives(1, kTimeoutNs);
  Worker worker{&job, &features, model.get(), &parameters, optimizer.get(), store.get(), collectives[0].get()};
  int64_t steps = 0;
  TrainOptions options;
  options.on_progress = [&](const char* what, int64_t) { steps += std::string_view(what) == "step"; };
  options.stop_asked = [&] { return steps == 10; };
  ASSERT_RESULT(TrainReport stopped, Train(worker, options));
  EXPECT_EQ(stopped.steps, 11);
  EXPECT_FALSE(stopped.complete);
  ASSERT_RESULT(TrainReport rest, TrainAlone(job));
  ASSERT_RESULT(TrainReport straight, TrainAlone(MakeJob("straight", {})));
  ExpectSame(rest, straight);
}

TEST_F(TrainTest, RefusesToGoOnWithAnotherJob) {
  ASSERT_TRUE(TrainAlone(MakeJob("out", {"train.max_steps=10"})).ok());
  auto other = TrainAlone(MakeJob("out", {"optimizers.dense.adam.beta1=0.5"}));
  EXPECT_EQ(other.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(other.status().message(), ::testing::HasSubstr("beta1"));
  auto reordered = TrainAlone(MakeJob("out", {"data.shuffle_rows=128"}));
  EXPECT_THAT(reordered.status().message(), ::testing::HasSubstr("data.shuffle_rows=64"));
}

}  // namespace
}  // namespace weir
