// A table ten times as large as its memory: each key is trained once, in hashed order, and then keys are drawn by
// Zipf's law (exponent 1), through the same pulls and pushes that a training run makes. Prints rows per second of both
// phases, the share of the draws whose row was in memory, the peak of resident memory less what the process had before
// its first row over the budget (at most 1.1), and the seconds of all (at most 1,200 for 75 M rows). Progress on
// stderr.
//
//   disk_bench [--rows=75000000] [--draws=5000000] [--memory=BYTES] [--folder=PATH]
//
// Draws and memory (2 GiB) shrink with the rows unless they are given. The folder is removed.
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/random.h"
#include "embeddings/distinct.h"
#include "embeddings/local_store.h"

namespace weir {
namespace {

constexpr int kDim = 64;
constexpr int kShards = 1024;
constexpr size_t kBatch = 8192;
constexpr int64_t kFullRows = 75'000'000;
constexpr double kFullSeconds = 1200;
constexpr double kMemoryRatioMax = 1.1;

struct Arguments {
  int64_t rows = kFullRows;
  int64_t draws = 0;
  int64_t memory_bytes = 0;
  std::string folder;
};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// A line of /proc/self/status, in bytes.
int64_t StatusBytes(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, std::strlen(field), field) == 0) return std::atoll(line.c_str() + std::strlen(field)) * 1024;
  }
  LOG(FATAL) << "no " << field << " in /proc/self/status";
}

void Print(const char* name, double value, const char* unit, const char* against, double ratio) {
  const std::string held = against == nullptr ? "null" : fmt::format("\"{}\"", against);
  fmt::print(
      "{{\"bench\": \"disk\", \"case\": \"{}\", \"value\": {:.6g}, \"unit\": \"{}\", \"min\": {:.6g}, \"max\": {:.6g}, "
      "\"against\": {}, \"ratio\": {}}}\n",
      name, value, unit, value, value, held, against == nullptr ? "null" : fmt::format("{:.4g}", ratio));
  std::fflush(stdout);
}

TableSpec Spec(const Arguments& arguments) {
  Job job;
  TableConfig* table = job.add_tables();
  table->set_name("keys");
  table->set_dim(kDim);
  table->set_memory(fmt::format("{}B", arguments.memory_bytes));
  table->mutable_disk()->set_path(arguments.folder);
  table->mutable_optimizer()->mutable_rowwise_adagrad();
  return TableSpecsFromJob(job)[0];
}

// Pulls run one step ahead of pushes, as in training.
class Trainer {
 public:
  explicit Trainer(const Arguments& arguments) : gradients_(kBatch * kDim) {
    for (size_t i = 0; i < gradients_.size(); ++i) {
      gradients_[i] = static_cast<float>(UnitDouble(RandomBits(1, RandomPurpose::kSampling, i)) - 0.5);
    }
    for (Step& step : steps_) step.rows.assign(kBatch * kDim, 1.0f);
    base_bytes_ = StatusBytes("VmRSS:");
    store_ = MakeLocalStore({Spec(arguments)}, kShards, nullptr);
  }

  // What the process held before there was a table.
  int64_t base_bytes() const { return base_bytes_; }

  // The next step's keys, distinct.
  void Train(std::span<const uint64_t> keys) {
    Step& next = steps_[++started_ % 2];
    next.keys.assign(keys.begin(), keys.end());
    const TablePull pull = {0, next.keys, next.rows.data()};
    auto ticket = store_->StartPull(started_, PullKind::kTraining, {&pull, 1});
    CHECK(ticket.ok()) << ticket.status().ToString();
    next.ticket = *ticket;
    if (started_ > 1) FinishStep();
  }

  void FinishStep() {
    Step& step = steps_[++finished_ % 2];
    const TablePush push = {0, step.keys, gradients_.data()};
    Check(store_->FinishPull(step.ticket));
    Check(store_->Push(finished_, {&push, 1}));
  }

  StoreStats Stats() {
    auto stats = store_->Stats();
    CHECK(stats.ok()) << stats.status().ToString();
    return *stats;
  }

 private:
  static void Check(const Status& status) { CHECK(status.ok()) << status.ToString(); }

  struct Step {
    std::vector<uint64_t> keys;
    std::vector<float> rows;
    PullTicket ticket = 0;
  };
  int64_t base_bytes_ = 0;
  std::unique_ptr<EmbeddingStore> store_;
  std::vector<float> gradients_;
  Step steps_[2];
  int64_t started_ = 0;
  int64_t finished_ = 0;
};

uint64_t KeyOf(int64_t number) { return SplitMix64(static_cast<uint64_t>(number)); }

void Progress(const char* phase, int64_t done, int64_t all, double begin, Trainer* trainer) {
  const StoreStats stats = trainer->Stats();
  fmt::print(stderr, "{}: {} of {} in {:.0f} s; resident {} MiB, files {} MiB, {} of {} rows only on disk\n", phase,
             done, all, Now() - begin, StatusBytes("VmRSS:") >> 20, stats.tables[0].disk_bytes >> 20,
             stats.tables[0].disk_rows, stats.rows);
}

double TrainOnce(int64_t rows, Trainer* trainer) {
  const double begin = Now();
  std::vector<uint64_t> keys;
  int64_t said = 0;
  for (int64_t number = 0; number < rows; number += kBatch) {
    keys.clear();
    for (int64_t i = number; i < std::min<int64_t>(number + kBatch, rows); ++i) keys.push_back(KeyOf(i));
    trainer->Train(keys);
    if (number - said < rows / 20) continue;
    said = number;
    Progress("insert", number, rows, begin, trainer);
  }
  return Now() - begin;
}

double TrainDraws(const Arguments& arguments, Trainer* trainer) {
  const double begin = Now();
  std::vector<uint64_t> draws;
  std::vector<int32_t> numbers(kBatch);
  DistinctKeys distinct;
  int64_t said = 0;
  for (int64_t first = 0; first < arguments.draws; first += kBatch) {
    draws.clear();
    for (int64_t i = first; i < std::min<int64_t>(first + kBatch, arguments.draws); ++i) {
      const double u = UnitDouble(RandomBits(2, RandomPurpose::kSampling, i));
      const double rank = std::pow(static_cast<double>(arguments.rows), u) - 1;
      // Frequent keys are spread over the order in which all were trained.
      draws.push_back(
          KeyOf(static_cast<int64_t>(BoundedIndex(SplitMix64(static_cast<uint64_t>(rank)), arguments.rows))));
    }
    distinct.Clear();
    distinct.Add(draws, numbers.data());
    trainer->Train(distinct.keys());
    if (first - said < arguments.draws / 10) continue;
    said = first;
    Progress("draws", first, arguments.draws, begin, trainer);
  }
  trainer->FinishStep();
  return Now() - begin;
}

void Run(const Arguments& arguments) {
  const double begin = Now();
  Trainer trainer(arguments);
  const double insert_s = TrainOnce(arguments.rows, &trainer);
  Print("insert", static_cast<double>(arguments.rows) / insert_s, "rows/s", nullptr, 0);
  const StoreStats before = trainer.Stats();
  const double draws_s = TrainDraws(arguments, &trainer);
  Print("zipf_draws", static_cast<double>(arguments.draws) / draws_s, "draws/s", nullptr, 0);
  const StoreStats after = trainer.Stats();
  CHECK_EQ(after.rows, arguments.rows);
  const auto in_memory = static_cast<double>(after.tables[0].memory_hits - before.tables[0].memory_hits);
  const auto from_disk = static_cast<double>(after.tables[0].disk_hits - before.tables[0].disk_hits);
  Print("zipf_hit_rate", in_memory / (in_memory + from_disk), "share of distinct keys per step", nullptr, 0);
  Print("files", static_cast<double>(after.tables[0].disk_bytes), "bytes", nullptr, 0);
  const auto grown = static_cast<double>(StatusBytes("VmHWM:") - trainer.base_bytes());
  const double memory_ratio = grown / static_cast<double>(arguments.memory_bytes);
  Print("peak_memory_over_budget", memory_ratio, "ratio", "at_most_1.1", kMemoryRatioMax / memory_ratio);
  Print("cpu_seconds_of_all_threads", CpuSeconds(), "s", nullptr, 0);
  const double seconds = Now() - begin;
  const double seconds_max = kFullSeconds * static_cast<double>(arguments.rows) / kFullRows;
  Print("seconds", seconds, "s", "1200_s_per_75M_rows", seconds_max / seconds);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "--rows") {
      arguments.rows = std::atoll(value.c_str());
    } else if (name == "--draws") {
      arguments.draws = std::atoll(value.c_str());
    } else if (name == "--memory") {
      arguments.memory_bytes = std::atoll(value.c_str());
    } else if (name == "--folder") {
      arguments.folder = value;
    } else {
      LOG(FATAL) << "unknown argument " << word;
    }
  }
  CHECK_GT(arguments.rows, 0);
  const double share = static_cast<double>(arguments.rows) / kFullRows;
  if (arguments.draws == 0) arguments.draws = static_cast<int64_t>(5e6 * share) + 1;
  if (arguments.memory_bytes == 0) arguments.memory_bytes = static_cast<int64_t>(share * (int64_t{2} << 30));
  return arguments;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  weir::Arguments arguments = weir::Parse(argc, argv);
  const std::filesystem::path parent =
      arguments.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(arguments.folder);
  std::string folder = (parent / "weir-disk-bench-XXXXXX").string();
  CHECK(::mkdtemp(folder.data()) != nullptr) << folder;
  arguments.folder = folder;
  weir::Run(arguments);
  CHECK(std::filesystem::is_empty(folder)) << folder << " still holds rows";
  std::filesystem::remove(folder);
  return 0;
}
