// Look-ups, inserts and updates of tables past 1 GiB.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/random_lines.h"
#include "bench/table_bench.h"
#include "embeddings/initializer.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/table.h"

namespace weir::bench {
namespace {

constexpr int kShards = 1024;
constexpr size_t kPullKeys = 1024;       // distinct ones of a table in a batch of 4,096 samples
constexpr size_t kQueries = 1024 * 1024;  // a round
constexpr double kZipf = 1.05;

// Four fifths of the slots of an index whose segments hold 2^log_buckets buckets each.
int64_t RowsAtFourFifths(int log_buckets) { return (int64_t{kShards} * Bucket::kSlots << log_buckets) * 4 / 5; }

struct Setting {
  int dim;
  int log_buckets;
};
// 12 M rows of 80 bytes and of 272, both past 1 GiB with their index.
constexpr Setting kSettings[] = {{16, 11}, {64, 11}};

OptimizerConfig Optimizer() {
  OptimizerConfig config;
  config.set_learning_rate(0.02);
  config.mutable_rowwise_adagrad();
  return config;
}

uint64_t Key(int64_t i) { return SplitMix64(static_cast<uint64_t>(i)); }

// A table with initial rows for the keys Key(0) to Key(rows - 1).
class FullTable {
 public:
  FullTable(int dim, int64_t rows)
      : layout_(MakeRowLayout(dim, Optimizer())), table_(layout_, kShards, &memory_), rows_(rows) {
    initializer_ = MakeRowInitializer({}, dim, 7);
    table_.Reserve(rows);
  }

  Table& table() { return table_; }
  const RowLayout& layout() const { return layout_; }
  int64_t rows() const { return rows_; }

  void Fill() {
    constexpr int64_t kBatch = 512;
    uint64_t keys[kBatch];
    uint32_t rows[kBatch];
    bool inserted[kBatch];
    for (int64_t begin = 0; begin < rows_; begin += kBatch) {
      const int64_t n = std::min(kBatch, rows_ - begin);
      for (int64_t i = 0; i < n; ++i) keys[i] = Key(begin + i);
      table_.FindOrInsert({keys, static_cast<size_t>(n)}, rows, inserted);
      for (int64_t i = 0; i < n; ++i) {
        initializer_->Initialize(keys[i], static_cast<float*>(table_.weights(rows[i])));
        table_.record(rows[i])->set_count(1);
        table_.record(rows[i])->state()[0] = 0;
      }
    }
    CHECK_EQ(table_.num_rows(), rows_);
  }

 private:
  const RowLayout layout_;
  TableMemory memory_;
  Table table_;
  const int64_t rows_;
  std::unique_ptr<RowInitializer> initializer_;
};

// Keys that are there: each as likely as the other, or by a Zipf law.
std::vector<uint64_t> Queries(int64_t rows, bool zipf) {
  std::vector<uint64_t> keys(kQueries);
  const auto n = static_cast<double>(rows);
  for (size_t i = 0; i < kQueries; ++i) {
    const uint64_t bits = RandomBits(3, RandomPurpose::kSampling, i);
    if (zipf) {
      const double rank = std::pow((std::pow(n, 1 - kZipf) - 1) * UnitDouble(bits) + 1, 1 / (1 - kZipf)) - 1;
      // Ranks are spread over the rows: often used ones do not lie side by side.
      keys[i] = Key(BoundedIndex(SplitMix64(static_cast<uint64_t>(rank)), rows));
    } else {
      keys[i] = Key(BoundedIndex(bits, rows));
    }
  }
  return keys;
}

// As a pull does it.
double RunTable(const Table& table, int dim, const std::vector<uint64_t>& keys, float* to) {
  std::vector<uint32_t> rows(kPullKeys);
  const double ns = TimedNanos([&] {
    for (size_t begin = 0; begin < keys.size(); begin += kPullKeys) {
      const Table::Visit copy = [&](size_t first, size_t size) {
        for (size_t i = first; i < first + size; ++i) {
          std::memcpy(to + i * dim, table.weights(rows[i]), dim * sizeof(float));
        }
      };
      table.Find(std::span(keys).subspan(begin, kPullKeys), rows.data(), Table::Touch::kWeights, &copy);
    }
  });
  return ns / static_cast<double>(keys.size());
}

// A map to row numbers, with the rows in a slab, one key at a time.
template <typename Map>
class MapWithRows {
 public:
  MapWithRows(int dim, int64_t rows) : dim_(dim), slab_(rows * dim * sizeof(float)) {
    map_.reserve(rows);
    for (int64_t i = 0; i < rows; ++i) map_.emplace(Key(i), static_cast<uint32_t>(i));
    std::memset(slab_.data(), 1, slab_.size_bytes());
  }

  double Run(const std::vector<uint64_t>& keys, float* to) const {
    const double ns = TimedNanos([&] {
      for (size_t i = 0; i < keys.size(); ++i) {
        const uint32_t row = map_.find(keys[i])->second;
        std::memcpy(to + i % kPullKeys * dim_, slab_.data() + size_t{row} * dim_ * sizeof(float), dim_ * sizeof(float));
      }
    });
    return ns / static_cast<double>(keys.size());
  }

 private:
  const int dim_;
  MappedMemory slab_;
  Map map_;
};

template <typename Map>
void LookupAgainstMap(const std::string& name, FullTable* full) {
  const int dim = full->layout().dim;
  const MapWithRows<Map> map(dim, full->rows());
  std::vector<float> to(kPullKeys * dim);
  for (const bool zipf : {false, true}) {
    const std::vector<uint64_t> keys = Queries(full->rows(), zipf);
    Rounds ours, theirs;
    for (int round = 0; round <= kRounds; ++round) {
      const double our_ns = RunTable(full->table(), dim, keys, to.data());
      const double their_ns = map.Run(keys, to.data());
      if (round > 0) ours.Add(our_ns), theirs.Add(their_ns);  // the first warms up
    }
    PrintLine("lookup", fmt::format("dim_{}_{}", dim, zipf ? "zipf" : "uniform"), "ns/key", ours, name, &theirs);
  }
}

// The limit for an operation that reads or writes `lines` cache lines.
Rounds Times(const Rounds& line, int lines) {
  Rounds limit;
  for (double ns : line.values) limit.Add(ns * lines);
  return limit;
}

int LinesOfRow(int dim) { return 1 + (4 * dim + 63) / 64; }

}  // namespace

void LookupBench() {
  for (const auto& [dim, log_buckets] : kSettings) {
    FullTable full(dim, RowsAtFourFifths(log_buckets));
    full.Fill();
    {
      const RandomLines lines(full.table().bytes());
      std::vector<float> to(kPullKeys * dim);
      for (const bool zipf : {false, true}) {
        const std::vector<uint64_t> keys = Queries(full.rows(), zipf);
        Rounds ours, line;
        for (int round = 0; round <= kRounds; ++round) {
          const double our_ns = RunTable(full.table(), dim, keys, to.data());
          const double line_ns = lines.Run();
          if (round > 0) ours.Add(our_ns), line.Add(line_ns);
        }
        const Rounds limit = Times(line, LinesOfRow(dim));
        PrintLine("lookup", fmt::format("dim_{}_{}", dim, zipf ? "zipf" : "uniform"), "ns/key", ours, "limit", &limit);
        if (!zipf) PrintLine("lookup", fmt::format("line_dim_{}", dim), "ns/line", line, "", nullptr);
      }
    }
    LookupAgainstMap<std::unordered_map<uint64_t, uint32_t>>("std", &full);
    LookupAgainstMap<absl::flat_hash_map<uint64_t, uint32_t>>("absl", &full);
    LookupAgainstMap<boost::unordered_flat_map<uint64_t, uint32_t>>("boost", &full);
  }
}

void InsertBench() {
  for (const auto& [dim, log_buckets] : kSettings) {
    const int64_t rows = RowsAtFourFifths(log_buckets);
    std::unique_ptr<RandomLines> lines;
    Rounds ours, line;
    for (int round = 0; round < kRounds; ++round) {
      FullTable full(dim, rows);
      ours.Add(TimedNanos([&] { full.Fill(); }) / static_cast<double>(rows));
      if (lines == nullptr) lines = std::make_unique<RandomLines>(full.table().bytes());
      line.Add(lines->Run());
    }
    const Rounds limit = Times(line, LinesOfRow(dim) + 1);
    PrintLine("insert", fmt::format("dim_{}_reserved", dim), "ns/key", ours, "limit", &limit);
  }
}

void UpdateBench() {
  for (const auto& [dim, log_buckets] : kSettings) {
    FullTable full(dim, RowsAtFourFifths(log_buckets));
    full.Fill();
    const RandomLines lines(full.table().bytes());
    const std::vector<uint64_t> keys = Queries(full.rows(), false);
    const std::vector<float> gradients(kPullKeys * dim, 0.01f);
    const auto optimizer = MakeRowOptimizer(full.layout(), Optimizer(), 7);
    std::vector<uint32_t> rows(kPullKeys);
    std::vector<RowRef> refs(Table::kBatch);
    Rounds ours, line;
    for (int round = 0; round <= kRounds; ++round) {
      optimizer->BeginStep(round + 1);
      // As TableSet trains rows that are there.
      const double our_ns = TimedNanos([&] {
        for (size_t begin = 0; begin < keys.size(); begin += kPullKeys) {
          const uint64_t* batch = keys.data() + begin;
          const Table::Visit train = [&](size_t first, size_t size) {
            for (size_t i = 0; i < size; ++i) {
              RowRecord* record = full.table().record(rows[first + i]);
              record->set_last_step(round + 1);
              record->set_count(record->count() + 1);
              refs[i] = {full.table().weights(rows[first + i]), record->state(), batch[first + i]};
            }
            optimizer->Update(std::span(refs).first(size), gradients.data() + first * dim);
          };
          full.table().Find({batch, kPullKeys}, rows.data(), Table::Touch::kWeightsAndRecord, &train);
        }
      });
      const double line_ns = lines.Run();
      if (round > 0) ours.Add(our_ns / kQueries), line.Add(line_ns);
    }
    const Rounds limit = Times(line, LinesOfRow(dim) + 1);
    PrintLine("update", fmt::format("dim_{}_rowwise_adagrad", dim), "ns/key", ours, "limit", &limit);
  }
}

}  // namespace weir::bench
