// How many samples a second of one core the loader makes from Parquet of Criteo's shape: 13 numbers, 26 ids to be
// hashed, a label. Held to Arrow's own reader decoding the same columns into a table, in the same run, the two taking
// turns.
//
//   loader_bench [rows]
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "base/random.h"
#include "data_loader/loader.h"

namespace weir {
namespace {

constexpr int kNumbers = 13;
constexpr int kIds = 26;
constexpr int kFiles = 4;
constexpr int kRounds = 5;
constexpr int64_t kGroupRows = 65536;

void CheckArrow(const arrow::Status& status) { CHECK(status.ok()) << status.ToString(); }

// Cardinalities from 3 to ten millions; low ids are the frequent ones.
int64_t DrawId(int feature, int64_t row) {
  double cardinality = std::pow(10.0, 0.5 + 6.5 * ((feature * 7) % kIds) / kIds);
  double u = UnitDouble(RandomBits(1, RandomPurpose::kSampling, feature, row));
  return static_cast<int64_t>(std::pow(cardinality, u)) - 1;
}

std::shared_ptr<arrow::Table> MakeRows(int64_t first, int64_t rows) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  arrow::Int32Builder labels;
  for (int64_t r = first; r < first + rows; ++r) {
    CheckArrow(labels.Append(static_cast<int32_t>(RandomBits(2, RandomPurpose::kSampling, r) & 1)));
  }
  fields.push_back(arrow::field("label", arrow::int32()));
  columns.push_back(labels.Finish().ValueOrDie());
  for (int c = 0; c < kNumbers; ++c) {
    arrow::FloatBuilder numbers;
    for (int64_t r = first; r < first + rows; ++r) {
      double u = UnitDouble(RandomBits(3, RandomPurpose::kSampling, c, r));
      CheckArrow(numbers.Append(static_cast<float>(std::exp(4 * u))));
    }
    fields.push_back(arrow::field(fmt::format("I{}", c + 1), arrow::float32()));
    columns.push_back(numbers.Finish().ValueOrDie());
  }
  for (int c = 0; c < kIds; ++c) {
    arrow::Int64Builder ids;
    for (int64_t r = first; r < first + rows; ++r) CheckArrow(ids.Append(DrawId(c, r)));
    fields.push_back(arrow::field(fmt::format("C{}", c + 1), arrow::int64()));
    columns.push_back(ids.Finish().ValueOrDie());
  }
  return arrow::Table::Make(arrow::schema(fields), columns);
}

std::vector<std::string> WriteFiles(const std::string& folder, int64_t rows) {
  std::vector<std::string> paths;
  for (int f = 0; f < kFiles; ++f) {
    paths.push_back(fmt::format("{}/part-{}.parquet", folder, f));
    auto file = arrow::io::FileOutputStream::Open(paths.back()).ValueOrDie();
    auto properties =
        parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->enable_page_checksum()->build();
    CheckArrow(parquet::arrow::WriteTable(*MakeRows(f * (rows / kFiles), rows / kFiles), arrow::default_memory_pool(),
                                          file, kGroupRows, properties));
    CheckArrow(file->Close());
  }
  return paths;
}

Job CriteoJob(bool log) {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  for (int c = 0; c < kNumbers; ++c) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(fmt::format("I{}", c + 1));
    feature->set_column(feature->name());
    feature->mutable_numeric()->set_log(log);
  }
  for (int c = 0; c < kIds; ++c) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(fmt::format("C{}", c + 1));
    feature->set_column(feature->name());
    feature->mutable_sparse()->set_hash_space(feature->name());
  }
  return job;
}

// Of one core: what all threads used, so that other work on the machine does not show.
double Seconds(const std::function<void()>& run) {
  auto now = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  double start = now();
  run();
  return now() - start;
}

void RunLoader(const Job& job, const std::string& folder, bool shuffle, int64_t rows) {
  SourceConfig source;
  source.add_uri(folder);
  LoaderOptions options;
  options.batch_size = 2048;
  options.shuffle = shuffle;
  auto loader = Loader::Open(job, source, options, {});
  CHECK(loader.ok()) << loader.status().ToString();
  StepBatch step;
  int64_t seen = 0;
  while (true) {
    auto more = (*loader)->Next(&step);
    CHECK(more.ok()) << more.status().ToString();
    if (!*more) break;
    seen += step.batch.num_samples;
  }
  CHECK_EQ(seen, rows);
}

// One thread, page checksums verified, as the loader reads.
void RunArrow(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);
    parquet::arrow::FileReaderBuilder builder;
    CheckArrow(builder.OpenFile(path, false, properties));
    auto reader = builder.Build().ValueOrDie();
    for (int g = 0; g < reader->num_row_groups(); ++g) {
      std::vector<int> columns(1 + kNumbers + kIds);
      for (size_t c = 0; c < columns.size(); ++c) columns[c] = static_cast<int>(c);
      CHECK(reader->ReadRowGroup(g, columns).ok());
    }
  }
}

void Print(const char* name, std::vector<double> loader, std::vector<double> arrow) {
  std::vector<double> ratios;
  for (size_t i = 0; i < loader.size(); ++i) ratios.push_back(loader[i] / arrow[i]);
  std::sort(ratios.begin(), ratios.end());
  std::sort(loader.begin(), loader.end());
  fmt::print(
      "{{\"bench\": \"loader\", \"case\": \"{}\", \"value\": {:.0f}, \"unit\": \"samples/core_s\", \"min\": {:.0f}, "
      "\"max\": {:.0f}, \"against\": \"arrow_read_one_thread\", \"ratio\": {:.3f}}}\n",
      name, loader[loader.size() / 2], loader.front(), loader.back(), ratios[ratios.size() / 2]);
  std::fflush(stdout);
}

void Run(int64_t rows) {
  std::string folder = (std::filesystem::temp_directory_path() / "weir-loader-bench-XXXXXX").string();
  CHECK(mkdtemp(folder.data()) != nullptr) << folder;
  std::vector<std::string> paths = WriteFiles(folder, rows);
  struct Case {
    const char* name;
    bool shuffle, log;
  };
  for (const Case& c : {Case{"parquet_shuffled", true, false}, Case{"parquet_shuffled_log", true, true},
                        Case{"parquet_in_order", false, false}}) {
    Job job = CriteoJob(c.log);
    RunLoader(job, folder, c.shuffle, rows);  // warms the page cache
    std::vector<double> loader, arrow;
    for (int round = 0; round < kRounds; ++round) {
      loader.push_back(static_cast<double>(rows) / Seconds([&] { RunLoader(job, folder, c.shuffle, rows); }));
      arrow.push_back(static_cast<double>(rows) / Seconds([&] { RunArrow(paths); }));
    }
    Print(c.name, loader, arrow);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  int64_t rows = argc > 1 ? std::atoll(argv[1]) : 1'048'576;
  // Whole files of the same length.
  weir::Run(std::max<int64_t>(rows / weir::kFiles, 1) * weir::kFiles);
  return 0;
}
