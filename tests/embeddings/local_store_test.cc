#include "embeddings/local_store.h"

#include <map>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <gtest/gtest.h>

namespace weir {
namespace {

TableSpec Spec(const std::string& name, int dim) {
  TableSpec spec;
  spec.name = name;
  spec.optimizer.set_learning_rate(1);
  spec.optimizer.mutable_sgd();
  spec.initializer.mutable_constant()->set_value(10);
  spec.layout = MakeRowLayout(dim, spec.optimizer);
  return spec;
}

// Keeps rows in memory by folder.
class MemoryRowFiles : public RowFiles {
 public:
  struct Saved {
    std::vector<uint64_t> keys, counts;
    std::vector<int64_t> last_steps;
    std::vector<float> values;
  };

  Result<std::vector<DataFile>> Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                                      const std::string&, const std::function<void()>&) override {
    std::vector<DataFile> files;
    for (int table = 0; table < tables.num_tables(); ++table) {
      Saved& saved = folders[folder][table];
      const int width = tables.spec(table).layout.width();
      WEIR_RETURN_IF_ERROR(tables.Scan(table, shards.begin, shards.end, 7, [&](const RowBlock& block) {
        saved.keys.insert(saved.keys.end(), block.keys, block.keys + block.num_rows);
        saved.counts.insert(saved.counts.end(), block.counts, block.counts + block.num_rows);
        saved.last_steps.insert(saved.last_steps.end(), block.last_steps, block.last_steps + block.num_rows);
        saved.values.insert(saved.values.end(), block.values, block.values + block.num_rows * width);
        return Status();
      }));
      files.emplace_back().set_table(tables.spec(table).name);
    }
    return files;
  }

  Status Read(const std::string& folder, std::span<const DataFile>, ShardRange, TableSet* tables,
              const std::function<void()>&) override {
    if (!folders.contains(folder)) return NotFound(folder);
    for (const auto& [table, saved] : folders[folder]) {
      const RowBlock block = {static_cast<int64_t>(saved.keys.size()), saved.keys.data(), saved.last_steps.data(),
                              saved.counts.data(), saved.values.data()};
      WEIR_RETURN_IF_ERROR(tables->Load(table, block));
    }
    return Status();
  }

  std::map<std::string, std::map<int, Saved>> folders;
};

class LocalStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<EmbeddingStore> MakeStore() { return MakeLocalStore({Spec("a", 1), Spec("b", 2)}, 16, &row_files_); }

  // The weight of a key of table a, as an evaluation sees it.
  float Weight(EmbeddingStore* store, int64_t step, uint64_t key) {
    float row = -1;
    const TablePull pull = {0, std::span(&key, 1), &row};
    EXPECT_EQ(store->Pull(step, PullKind::kEvaluation, std::span(&pull, 1)).ToString(), "OK");
    return row;
  }

  Status Push(EmbeddingStore* store, int64_t step, uint64_t key, float gradient) {
    const TablePush push = {0, std::span(&key, 1), &gradient};
    return store->Push(step, std::span(&push, 1));
  }

  Result<PullTicket> StartPull(EmbeddingStore* store, int64_t step) {
    const TablePull pull = {0, std::span(&key_, 1), &row_};
    return store->StartPull(step, PullKind::kTraining, std::span(&pull, 1));
  }

  MemoryRowFiles row_files_;
  uint64_t key_ = 5;
  float row_ = -1;
};

TEST_F(LocalStoreTest, PullSeesThePushesBeforeItsStep) {
  auto store = MakeStore();
  EXPECT_EQ(Weight(store.get(), 1, 5), 10);
  ASSERT_TRUE(Push(store.get(), 1, 5, 2).ok());
  EXPECT_EQ(Weight(store.get(), 2, 5), 8);
  EXPECT_EQ(Weight(store.get(), 2, 6), 10);
  EXPECT_EQ(store->Stats()->rows, 1) << "a pull never makes a row";
  EXPECT_GT(store->Stats()->bytes, 0);
  EXPECT_EQ(store->Stats()->bytes_sent, 0);
}

TEST_F(LocalStoreTest, PullStartedAheadIsFilledByThePushItWaitsFor) {
  auto store = MakeStore();
  ASSERT_TRUE(store->Pull(1, PullKind::kTraining, {}).ok());
  const PullTicket ticket = *StartPull(store.get(), 2);
  EXPECT_EQ(store->FinishPull(ticket).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(row_, -1);
  ASSERT_TRUE(Push(store.get(), 1, 5, 2).ok());
  ASSERT_TRUE(store->FinishPull(ticket).ok());
  EXPECT_EQ(row_, 8);
  EXPECT_EQ(store->FinishPull(ticket).code(), StatusCode::kFailedPrecondition) << "answered once";
}

TEST_F(LocalStoreTest, StepsGoInOrder) {
  auto store = MakeStore();
  EXPECT_EQ(StartPull(store.get(), 2).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Push(store.get(), 2, 5, 1).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(StartPull(store.get(), 1).ok());
  EXPECT_EQ(StartPull(store.get(), 1).status().code(), StatusCode::kFailedPrecondition) << "pulled once";
  ASSERT_TRUE(Push(store.get(), 1, 5, 1).ok());
  EXPECT_EQ(Push(store.get(), 1, 5, 1).code(), StatusCode::kFailedPrecondition) << "pushed once";
  ASSERT_TRUE(store->Push(2, {}).ok()) << "an empty batch";
  EXPECT_EQ(StartPull(store.get(), 2).status().code(), StatusCode::kFailedPrecondition) << "applied already";
  EXPECT_TRUE(StartPull(store.get(), 3).ok());
  EXPECT_TRUE(store->Drain(2).ok());
  EXPECT_EQ(store->Drain(3).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Weight(store.get(), 3, 5), 9);
}

TEST_F(LocalStoreTest, BadTablesAreRefused) {
  auto store = MakeStore();
  const TablePull beyond = {2, std::span(&key_, 1), &row_};
  EXPECT_EQ(store->StartPull(1, PullKind::kTraining, std::span(&beyond, 1)).status().code(),
            StatusCode::kInvalidArgument);
  const std::vector<TablePull> twice(2, {1, std::span(&key_, 0), nullptr});
  EXPECT_EQ(store->StartPull(1, PullKind::kTraining, twice).status().message(),
            "expected each table at most once, found table b twice");
  const std::vector<TablePush> pushes(2, {1, std::span(&key_, 0), nullptr});
  EXPECT_EQ(store->Push(1, pushes).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(StartPull(store.get(), 1).ok()) << "a refused call changes nothing";
}

TEST_F(LocalStoreTest, SavedRowsLoadElsewhere) {
  auto store = MakeStore();
  for (int64_t step = 1; step <= 3; ++step) ASSERT_TRUE(Push(store.get(), step, 5 + step % 2, 1).ok());
  EXPECT_EQ(store->Save(2, "f").status().code(), StatusCode::kFailedPrecondition);
  Result<std::vector<DataFile>> files = store->Save(3, "f");
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);

  auto loaded = MakeStore();
  EXPECT_EQ(loaded->Load(3, "elsewhere", *files).code(), StatusCode::kNotFound);
  ASSERT_TRUE(loaded->Load(3, "f", *files).ok());
  EXPECT_EQ(loaded->Stats()->rows, 2);
  EXPECT_EQ(Weight(loaded.get(), 4, 6), 8);
  EXPECT_EQ(Weight(loaded.get(), 4, 5), 9);
  EXPECT_EQ(loaded->Load(3, "f", *files).code(), StatusCode::kFailedPrecondition) << "not empty";
  EXPECT_EQ(StartPull(loaded.get(), 3).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(StartPull(loaded.get(), 4).ok()) << "steps go on after the checkpoint's";
  EXPECT_TRUE(Push(loaded.get(), 4, 5, 1).ok());
}

#ifdef _OPENMP
// Tables that grow side by side share the pool and the memory of indexes.
TEST_F(LocalStoreTest, RowsDoNotDependOnTheThreads) {
  constexpr int kTables = 6, kDim = 4, kSteps = 20, kKeys = 3000;
  std::vector<TableSpec> specs;
  for (int t = 0; t < kTables; ++t) {
    specs.push_back(Spec(std::string(1, static_cast<char>('a' + t)), kDim));
    specs.back().initializer.mutable_uniform()->set_scale(1);
    specs.back().seed = t;
  }
  std::vector<std::vector<float>> pulled;
  for (int threads : {1, 3}) {
    omp_set_num_threads(threads);
    auto store = MakeLocalStore(specs, 16, &row_files_);
    std::vector<std::vector<float>> rows(kTables, std::vector<float>(kKeys * kDim));
    std::vector<std::vector<uint64_t>> keys(kTables, std::vector<uint64_t>(kKeys));
    pulled.emplace_back();
    for (int64_t step = 1; step <= kSteps; ++step) {
      std::vector<TablePull> pulls;
      std::vector<TablePush> pushes;
      for (int t = 0; t < kTables; ++t) {
        // A third of the keys of a step come again in the next.
        for (int i = 0; i < kKeys; ++i) keys[t][i] = (step * kKeys * 2 / 3 + i) * 0x9E3779B97F4A7C15u + t;
        pulls.push_back({t, keys[t], rows[t].data()});
        pushes.push_back({t, keys[t], rows[t].data()});
      }
      ASSERT_TRUE(store->Pull(step, PullKind::kTraining, pulls).ok());
      for (const auto& of_table : rows) pulled.back().insert(pulled.back().end(), of_table.begin(), of_table.end());
      for (auto& of_table : rows) {
        for (float& value : of_table) value = value * 0.25f + static_cast<float>(step);
      }
      ASSERT_TRUE(store->Push(step, pushes).ok());
    }
    ASSERT_TRUE(store->Save(kSteps, std::to_string(threads)).ok());
  }
  EXPECT_EQ(pulled[0], pulled[1]);
  for (int t = 0; t < kTables; ++t) {
    const auto &one = row_files_.folders["1"][t], &three = row_files_.folders["3"][t];
    EXPECT_GT(one.keys.size(), kKeys * kSteps / 2);
    EXPECT_EQ(one.keys, three.keys);
    EXPECT_EQ(one.counts, three.counts);
    EXPECT_EQ(one.last_steps, three.last_steps);
    EXPECT_EQ(one.values, three.values);
  }
}
#endif

}  // namespace
}  // namespace weir
