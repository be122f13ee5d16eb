#include "bench/criteo_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "base/random.h"

namespace weir::bench {
namespace {

constexpr int64_t kGroupRows = 65536;
constexpr double kExponent = 1.05;
constexpr std::array<double, kCriteoIds> kCardinalities = {
    1460, 583,   10131227, 2202608, 305,  24,   12517, 633,     3,  93145, 5683,   8351593, 3194,
    27,   14992, 5461306,  10,      5652, 2173, 4,     7046547, 18, 15,    286181, 105,     142572};

void CheckArrow(const arrow::Status& status) { CHECK(status.ok()) << status.ToString(); }

double Draw(int column, int64_t row) { return UnitDouble(RandomBits(1, RandomPurpose::kSampling, column, row)); }

// By inverting the distribution function of the law's continuous form.
int64_t DrawId(int feature, double u) {
  const double power = 1 - kExponent;
  const double cardinality = kCardinalities[feature];
  const double rank = std::pow((std::pow(cardinality, power) - 1) * u + 1, 1 / power) - 1;
  return static_cast<int64_t>(std::clamp(rank, 0.0, cardinality - 1));
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> MakeColumn(int64_t first, int64_t rows, const Value& value) {
  Builder builder;
  CheckArrow(builder.Reserve(rows));
  for (int64_t r = first; r < first + rows; ++r) builder.UnsafeAppend(value(r));
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Table> MakeRows(int64_t first, int64_t rows) {
  arrow::FieldVector fields = {arrow::field("label", arrow::int32())};
  arrow::ArrayVector columns = {
      MakeColumn<arrow::Int32Builder>(first, rows, [](int64_t r) { return Draw(0, r) < 0.25 ? 1 : 0; })};
  for (int c = 0; c < kCriteoNumbers; ++c) {
    fields.push_back(arrow::field(fmt::format("I{}", c + 1), arrow::float32()));
    columns.push_back(MakeColumn<arrow::FloatBuilder>(
        first, rows, [c](int64_t r) { return static_cast<float>(std::exp(4 * Draw(1 + c, r))); }));
  }
  for (int c = 0; c < kCriteoIds; ++c) {
    fields.push_back(arrow::field(fmt::format("C{}", c + 1), arrow::int64()));
    columns.push_back(MakeColumn<arrow::Int64Builder>(
        first, rows, [c](int64_t r) { return DrawId(c, Draw(1 + kCriteoNumbers + c, r)); }));
  }
  return arrow::Table::Make(arrow::schema(fields), columns);
}

struct OpenFile {
  std::shared_ptr<arrow::io::FileOutputStream> bytes;
  std::unique_ptr<parquet::arrow::FileWriter> rows;

  void Close() {
    CheckArrow(rows->Close());
    CheckArrow(bytes->Close());
  }
};

OpenFile Open(const std::string& path, const CriteoFormat& format) {
  parquet::WriterProperties::Builder properties;
  properties.compression(format.codec)->enable_page_checksum();
  if (!format.dictionary) properties.disable_dictionary();
  OpenFile file;
  file.bytes = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  file.rows = parquet::arrow::FileWriter::Open(*MakeRows(0, 0)->schema(), arrow::default_memory_pool(), file.bytes,
                                               properties.build())
                  .ValueOrDie();
  return file;
}

}  // namespace

void WriteCriteoFile(const std::string& path, int64_t first, int64_t rows, const CriteoFormat& format) {
  OpenFile file = Open(path, format);
  for (int64_t done = 0; done < rows; done += kGroupRows) {
    const int64_t group_rows = std::min(kGroupRows, rows - done);
    CheckArrow(file.rows->WriteTable(*MakeRows(first + done, group_rows), group_rows));
  }
  file.Close();
}

void WriteCriteoFileOfBytes(const std::string& path, int64_t bytes, const CriteoFormat& format) {
  OpenFile file = Open(path, format);
  const std::shared_ptr<arrow::Table> group = MakeRows(0, kGroupRows);
  while (file.bytes->Tell().ValueOrDie() < bytes) CheckArrow(file.rows->WriteTable(*group, kGroupRows));
  file.Close();
}

Job CriteoJob() {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  const auto add = [&](const std::string& name) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(name);
    feature->set_column(name);
    return feature;
  };
  for (int c = 1; c <= kCriteoNumbers; ++c) add(fmt::format("I{}", c))->mutable_numeric();
  for (int c = 1; c <= kCriteoIds; ++c) {
    const std::string name = fmt::format("C{}", c);
    add(name)->mutable_sparse()->set_hash_space(name);
  }
  return job;
}

}  // namespace weir::bench
