// What a sample costs that the loader makes from Parquet of Criteo's shape (a label, 13 numbers, 26 ids to be hashed),
// page checksums written and verified. Held to PyArrow's read of the same columns on one thread, which is Arrow C++'s
// reader: pyarrow.parquet.ParquetFile(path, page_checksum_verification=True).read_row_group(g, use_threads=False). Both
// take turns; what counts is the time of the cores used, so that other work on the machine shows as little as it can.
//
//   loader_bench                 four kinds of files, in file order and shuffled; two cores against one
//   loader_bench --only=zstd_dictionary|zstd_plain|lz4_dictionary|lz4_plain
//   loader_bench --memory        peak memory; writes 10 GB to the folder for temporary files, and removes them
#include "bench/loader_bench.h"

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include <arrow/api.h>
#include <fmt/format.h>
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <parquet/arrow/reader.h>
#include <parquet/properties.h>

#include "bench/bench_line.h"
#include "bench/criteo_files.h"
#include "data_loader/loader.h"

DEFINE_int64(rows, 1'048'576, "rows of each kind of files");
DEFINE_string(only, "", "one kind of files, such as zstd_dictionary");
DEFINE_bool(memory, false, "measure peak memory instead");
DEFINE_int64(memory_gb, 10, "with --memory: of the large file");
DEFINE_string(memory_child, "", "read this file and end: what --memory starts");
DEFINE_bool(shuffle, false, "with --memory_child: shuffled");

namespace weir::bench {

int64_t ReadAll(const std::string& uri, bool shuffle, int worker, int num_workers) {
  SourceConfig source;
  source.add_uri(uri);
  LoaderOptions options;
  options.batch_size = 2048 * num_workers;
  options.shuffle = shuffle;
  options.worker = worker;
  options.num_workers = num_workers;
  auto loader = Loader::Open(CriteoJob(), source, options, {});
  CHECK(loader.ok()) << loader.status().ToString();
  StepBatch step;
  int64_t rows = 0;
  while (true) {
    auto more = (*loader)->Next(&step);
    CHECK(more.ok()) << more.status().ToString();
    if (!*more) return rows;
    rows += step.batch.num_samples;
  }
}

namespace {

constexpr int kFiles = 4;

// A folder of kFiles files, removed at the end; two halves of them beside it, as links.
class CriteoFolder {
 public:
  CriteoFolder(const CriteoFormat& format, int64_t rows) : rows_(rows / kFiles * kFiles) {
    path_ = (std::filesystem::temp_directory_path() / "weir-loader-bench-XXXXXX").string();
    CHECK(mkdtemp(path_.data()) != nullptr) << path_;
    std::filesystem::create_directory(all());
    for (int f = 0; f < kFiles; ++f) {
      files_.push_back(fmt::format("{}/part-{}.parquet", all(), f));
      WriteCriteoFile(files_.back(), f * (rows_ / kFiles), rows_ / kFiles, format);
      std::filesystem::create_directories(half(f % 2));
      std::filesystem::create_hard_link(files_.back(), fmt::format("{}/part-{}.parquet", half(f % 2), f));
    }
  }
  ~CriteoFolder() { std::filesystem::remove_all(path_); }

  std::string all() const { return path_ + "/all"; }
  std::string half(int i) const { return fmt::format("{}/half-{}", path_, i); }
  const std::vector<std::string>& files() const { return files_; }
  int64_t rows() const { return rows_; }

 private:
  const int64_t rows_;
  std::string path_;
  std::vector<std::string> files_;
};

double Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Nanoseconds of `clock`: CLOCK_PROCESS_CPUTIME_ID counts what all threads used.
double Nanos(const std::function<void()>& run, clockid_t clock = CLOCK_PROCESS_CPUTIME_ID) {
  const double start = Now(clock);
  run();
  return Now(clock) - start;
}

void ReadByArrow(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);
    parquet::arrow::FileReaderBuilder builder;
    CHECK(builder.OpenFile(path, /*memory_map=*/false, properties).ok());
    auto reader = builder.Build().ValueOrDie();
    std::vector<int> columns(1 + kCriteoNumbers + kCriteoIds);
    for (size_t c = 0; c < columns.size(); ++c) columns[c] = static_cast<int>(c);
    for (int g = 0; g < reader->num_row_groups(); ++g) CHECK(reader->ReadRowGroup(g, columns).ok());
  }
}

void RateBench(const std::string& name, const CriteoFolder& folder) {
  Rounds loader, arrow, shuffled;
  const auto rows = static_cast<double>(folder.rows());
  CHECK_EQ(ReadAll(folder.all(), /*shuffle=*/false), folder.rows());  // warms the page cache
  for (int round = 0; round < kRounds; ++round) {
    loader.Add(Nanos([&] { ReadAll(folder.all(), false); }) / rows);
    arrow.Add(Nanos([&] { ReadByArrow(folder.files()); }) / rows);
    shuffled.Add(Nanos([&] { ReadAll(folder.all(), true); }) / rows);
  }
  PrintLine("parquet", name, "ns/sample", loader, "pyarrow", &arrow);
  PrintLine("parquet", name + "_shuffled", "ns/sample", shuffled, "", nullptr);
}

// Two at a time.
void RunBoth(const std::function<void(int)>& run) {
  std::thread first([&] { run(0); });
  run(1);
  first.join();
}

// Time a sample on two cores that both read: half of the time that they use together. In file order each loader reads
// files of its own, for the workers of one job would each unpack all of them (step_source.h); shuffled they are two
// workers of one job.
void TwoCoresBench(const std::string& name, const CriteoFolder& folder) {
  for (const bool shuffle : {false, true}) {
    Rounds one, two, wall_one, wall_two;
    const auto rows = static_cast<double>(folder.rows());
    const auto read_one = [&] { CHECK_EQ(ReadAll(folder.all(), shuffle), folder.rows()); };
    const auto read_two = [&] {
      RunBoth([&](int i) { shuffle ? ReadAll(folder.all(), true, i, 2) : ReadAll(folder.half(i), false); });
    };
    for (int round = 0; round < kRounds; ++round) {
      one.Add(Nanos(read_one) / rows);
      two.Add(Nanos(read_two) / rows / 2);
      wall_one.Add(Nanos(read_one, CLOCK_MONOTONIC) / rows);
      wall_two.Add(Nanos(read_two, CLOCK_MONOTONIC) / rows);
    }
    const std::string order = shuffle ? "_shuffled" : "";
    PrintLine("parquet", name + order + "_two_cores", "ns/sample", two, "one_core", shuffle ? nullptr : &one);
    PrintLine("parquet", name + order + "_wall", "ns/sample", wall_one, "", nullptr);
    PrintLine("parquet", name + order + "_two_cores_wall", "ns/sample", wall_two, "", nullptr);
  }
}

void RateBenches() {
  struct Kind {
    const char* name;
    CriteoFormat format;
  };
  for (const Kind& kind :
       {Kind{"zstd_dictionary", {arrow::Compression::ZSTD, true}},
        Kind{"zstd_plain", {arrow::Compression::ZSTD, false}}, Kind{"lz4_dictionary", {arrow::Compression::LZ4, true}},
        Kind{"lz4_plain", {arrow::Compression::LZ4, false}}}) {
    if (!FLAGS_only.empty() && FLAGS_only != kind.name) continue;
    const CriteoFolder folder(kind.format, FLAGS_rows);
    RateBench(kind.name, folder);
    if (!FLAGS_only.empty() || kind.name == std::string("lz4_plain")) TwoCoresBench(kind.name, folder);
  }
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  gflags::SetUsageMessage("times the loader against PyArrow");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (!FLAGS_memory_child.empty()) {
    weir::bench::MemoryChild(FLAGS_memory_child, FLAGS_shuffle);
  } else if (FLAGS_memory) {
    weir::bench::MemoryBench(FLAGS_memory_gb * 1'000'000'000);
  } else {
    weir::bench::RateBenches();
  }
  return 0;
}
