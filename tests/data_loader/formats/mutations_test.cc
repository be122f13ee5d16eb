// Files that were damaged, on purpose or not, in a thousand ways: each is read whole, through the features. None may
// crash, hang or take memory without bound; what checksums see must be reported.
//
// WEIR_TEST_MUTATIONS sets how many files a test makes (else its share of 1,200 in all), WEIR_TEST_SEED repeats a run.
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>

#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/util/compression.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "data_loader/extractor.h"
#include "tests/data_loader/formats/format_fixture.h"
#include "tests/data_loader/parquet_fixture.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

// Of one file's bytes: [begin, end).
struct Range {
  size_t begin = 0;
  size_t end = 0;
};

struct Original {
  std::string name;  // of the file
  std::string bytes;
  std::string rows;         // as they read
  std::vector<Range> data;  // of pages, without their headers
};

// What a damaged file of some KiB may take more than whole ones, in KiB.
constexpr int64_t kMemoryKibMax = 512 << 10;

int Mutations(int share) {
  const char* given = std::getenv("WEIR_TEST_MUTATIONS");
  return given == nullptr ? share : std::atoi(given);
}

// Kilobytes that this process had at most since it started.
int64_t PeakKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6);
  }
  return 0;
}

// 300 rows: single values with nulls, a dictionary, lists, lists of lists.
std::shared_ptr<arrow::Table> SomeTable() {
  const int rows = 300;
  auto table = NumberedRows(0, rows);
  arrow::Int32Builder counts;
  arrow::StringDictionaryBuilder cities;
  auto values = std::make_shared<arrow::Int64Builder>();
  arrow::ListBuilder items(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  auto inner = std::make_shared<arrow::ListBuilder>(arrow::default_memory_pool(), values);
  arrow::ListBuilder visits(arrow::default_memory_pool(), inner);
  for (int i = 0; i < rows; ++i) {
    EXPECT_TRUE((i % 4 == 0 ? counts.AppendNull() : counts.Append(i * 3)).ok());
    EXPECT_TRUE((i % 5 == 0 ? cities.AppendNull() : cities.Append("city " + std::to_string(i % 11))).ok());
    EXPECT_TRUE((i % 7 == 0 ? items.AppendNull() : items.Append()).ok());
    EXPECT_TRUE(visits.Append().ok());
    for (int j = 0; j < i % 4; ++j) {
      if (i % 7 != 0) {
        EXPECT_TRUE(static_cast<arrow::Int64Builder*>(items.value_builder())->Append(i + j).ok());
      }
      EXPECT_TRUE(inner->Append().ok());
      EXPECT_TRUE(values->AppendValues({j, i}).ok());
    }
  }
  const auto add = [&](const std::string& name, const std::shared_ptr<arrow::Array>& array) {
    table = table
                ->AddColumn(table->num_columns(), arrow::field(name, array->type()),
                            std::make_shared<arrow::ChunkedArray>(array))
                .ValueOrDie();
  };
  add("count", counts.Finish().ValueOrDie());
  add("city", cities.Finish().ValueOrDie());
  add("items", items.Finish().ValueOrDie());
  add("visits", visits.Finish().ValueOrDie());
  return table;
}

Job SomeJob(bool lists) {
  Job job;
  job.mutable_data()->mutable_label()->set_column("label");
  AddNumeric(&job, "x");
  for (const char* name : {"id", "count", "city"}) AddSparse(&job, name);
  if (lists) {
    for (const char* name : {"items", "visits"}) AddSparse(&job, name);
  }
  return job;
}

// Reads all of the file, from every row group's begin and from its middle: an error, or the rows in *rows.
Status ReadAll(const std::string& path, bool lists, std::string* rows) {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenLakeFile(path));
  const Job job = SomeJob(lists);
  auto made = FeatureExtractor::Make(job, *file->schema(), true);
  if (!made.ok()) return made.status().Wrap(path);
  const auto extractor = std::move(made).value();
  std::ostringstream text;
  for (int group = 0; group < static_cast<int>(file->row_groups().size()); ++group) {
    const int64_t size = file->row_groups()[group].rows;
    for (const int64_t begin : {int64_t{0}, size / 2}) {
      WEIR_ASSIGN_OR_RETURN(auto reader, file->Read(group, begin, size, extractor->columns(), 64));
      // A damaged footer may claim any number of rows: as many as there were are read.
      for (int64_t read = 0; read < 10000;) {
        WEIR_ASSIGN_OR_RETURN(auto batch, reader->Next());
        if (batch == nullptr) break;
        read += batch->num_rows();
        Batch samples = EmptyBatch(job);
        std::vector<BadRow> bad;
        WEIR_RETURN_IF_ERROR(extractor->Extract(*batch, &samples, &bad).Wrap(path));
        text << samples.num_samples << " " << bad.size();
        for (const Jagged& feature : samples.sparse) {
          for (const uint64_t key : feature.values) text << " " << key;
          for (const int32_t offset : feature.offsets) text << " " << offset;
        }
        for (const float number : samples.numeric) text << " " << number;
        for (const float label : samples.labels) text << " " << label;
      }
    }
  }
  *rows = text.str();
  return Status();
}

class Mutated : public ::testing::Test {
 protected:
  Mutated() : seed_(TestSeed()), random_(seed_), peak_kib_(PeakKib()) {
    std::cout << "WEIR_TEST_SEED=" << seed_ << std::endl;
    alarm(600);  // nothing may hang: SIGALRM ends the test
  }
  ~Mutated() override { alarm(0); }

  size_t Random(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }

  Original Make(const std::string& name, std::string bytes, bool lists = true) {
    Original original{name, std::move(bytes), {}, {}};
    const Status status = ReadAll(folder_.Write(name, original.bytes), lists, &original.rows);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return original;
  }

  void Flip(std::string* bytes, const Range& range) {
    (*bytes)[range.begin + Random(range.end - range.begin)] ^= static_cast<char>(1 << Random(8));
  }

  // One of many ways to damage a file.
  std::string Damage(const Original& original) {
    std::string bytes = original.bytes;
    const Range whole{0, bytes.size()};
    switch (Random(6)) {
      case 0:
        for (size_t i = 0; i <= Random(3); ++i) Flip(&bytes, whole);
        break;
      case 1:  // near the end stand footers
        Flip(&bytes, {bytes.size() - std::min<size_t>(bytes.size(), 3000), bytes.size()});
        break;
      case 2: {  // lengths that are absurd
        const size_t at = Random(bytes.size());
        const std::string absurd(std::min<size_t>(1 + Random(8), bytes.size() - at), Random(2) == 0 ? '\xFF' : '\x7F');
        bytes.replace(at, absurd.size(), absurd);
        break;
      }
      case 3:
        bytes.insert(Random(bytes.size()), bytes.substr(Random(bytes.size()), Random(200)));
        break;
      case 4:
        bytes.erase(Random(bytes.size()), 1 + Random(200));
        break;
      default:
        bytes[Random(bytes.size())] = static_cast<char>(Random(256));
    }
    return bytes;
  }

  std::string Truncate(const Original& original) { return original.bytes.substr(0, Random(original.bytes.size())); }

  // Two pieces change places.
  static std::string Swap(const std::string& bytes, const Range& a, const Range& b) {
    return bytes.substr(0, a.begin) + bytes.substr(b.begin, b.end - b.begin) + bytes.substr(a.end, b.begin - a.end) +
           bytes.substr(a.begin, a.end - a.begin) + bytes.substr(b.end);
  }

  // What reading says of the damaged bytes; OK with *rows.
  Status Read(const Original& original, const std::string& bytes, std::string* rows, bool lists = true) {
    const std::string path = folder_.Write(original.name, bytes);
    const Status status = ReadAll(path, lists, rows);
    EXPECT_TRUE(status.ok() || status.message().find(path) != std::string::npos) << status.ToString();
    const int64_t peak_kib = PeakKib();
    EXPECT_LT(peak_kib - peak_kib_, kMemoryKibMax) << status.ToString();
    peak_kib_ = std::max(peak_kib_, peak_kib - kMemoryKibMax);  // said once
    return status;
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  int64_t peak_kib_;
  TempFolder folder_;
};

// Where the data of the file's pages lie.
std::vector<Range> PageData(const std::string& bytes) {
  std::vector<Range> ranges;
  auto buffer = arrow::Buffer::FromString(bytes);
  auto file = parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(buffer));
  for (int g = 0; g < file->metadata()->num_row_groups(); ++g) {
    const auto group = file->metadata()->RowGroup(g);
    for (int c = 0; c < group->num_columns(); ++c) {
      const auto chunk = group->ColumnChunk(c);
      const int64_t begin = chunk->has_dictionary_page() ? chunk->dictionary_page_offset() : chunk->data_page_offset();
      auto stream =
          std::make_shared<arrow::io::BufferReader>(arrow::SliceBuffer(buffer, begin, chunk->total_compressed_size()));
      // Without a codec a page is what lies in the file.
      auto pages =
          parquet::PageReader::Open(stream, chunk->num_values(), parquet::Compression::UNCOMPRESSED,
                                    parquet::default_reader_properties(), *file->metadata()->schema()->Column(c));
      while (auto page = pages->NextPage()) {
        const auto end = static_cast<size_t>(begin + stream->Tell().ValueOrDie());
        ranges.push_back({end - static_cast<size_t>(page->size()), end});
      }
    }
  }
  return ranges;
}

std::string ParquetBytes(parquet::Compression::type codec, bool dictionary, parquet::ParquetDataPageVersion pages) {
  auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  parquet::WriterProperties::Builder builder;
  builder.enable_page_checksum()->compression(codec)->data_page_version(pages)->data_pagesize(256)->write_batch_size(
      20);
  if (!dictionary) builder.disable_dictionary();
  EXPECT_TRUE(parquet::arrow::WriteTable(*SomeTable(), arrow::default_memory_pool(), out, 150, builder.build(),
                                         parquet::ArrowWriterProperties::Builder().store_schema()->build())
                  .ok());
  return out->Finish().ValueOrDie()->ToString();
}

TEST_F(Mutated, Parquet) {
  using parquet::Compression;
  std::vector<Original> originals;
  for (const auto codec : {Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD, Compression::LZ4,
                           Compression::GZIP, Compression::BROTLI}) {
    for (const bool dictionary : {false, true}) {
      const auto pages = codec % 2 == 0 ? parquet::ParquetDataPageVersion::V1 : parquet::ParquetDataPageVersion::V2;
      originals.push_back(Make("a.parquet", ParquetBytes(codec, dictionary, pages)));
      originals.back().data = PageData(originals.back().bytes);
      ASSERT_GT(originals.back().data.size(), 40);
      EXPECT_EQ(originals.back().rows, originals.front().rows) << codec << dictionary;
    }
  }
  int reported[5] = {}, tried[5] = {};
  for (int i = 0; i < Mutations(700); ++i) {
    SCOPED_TRACE(::testing::Message() << "WEIR_TEST_SEED=" << seed_ << ", mutation " << i);
    const Original& original = originals[Random(originals.size())];
    const std::vector<Range>& data = original.data;
    const int kind = i % 5;
    std::string bytes = original.bytes, rows;
    if (kind == 0) Flip(&bytes, data[Random(data.size())]);
    if (kind == 1) bytes = Truncate(original);
    if (kind == 2) {  // pages with their headers; the first of a chunk may take the end of the last with it
      const size_t a = 1 + Random(data.size() - 2), b = a + 1 + Random(data.size() - a - 1);
      bytes = Swap(bytes, {data[a - 1].end, data[a].end}, {data[b - 1].end, data[b].end});
    }
    if (kind > 2) bytes = Damage(original);
    const Status status = Read(original, bytes, &rows);
    ++tried[kind];
    reported[kind] += !status.ok();
    EXPECT_TRUE(kind >= 2 || !status.ok()) << (kind == 0 ? "a flipped bit" : "a truncated file") << " passed unseen";
  }
  for (int kind = 0; kind < 5; ++kind) std::cout << reported[kind] << " of " << tried[kind] << " reported" << std::endl;
}

std::string CsvBytes() {
  std::string text = "id,x,label,count,city\n";
  for (int i = 0; i < 300; ++i) {
    text += std::to_string(i) + "," + std::to_string(i / 2.0) + "," + std::to_string(i % 2) + "," +
            (i % 4 == 0 ? "" : std::to_string(i)) + (i % 5 == 0 ? ",\"a, \"\"b\"\"\n\"\n" : ",Ulm\n");
  }
  return text;
}

TEST_F(Mutated, Csv) {
  const Original plain = Make("a.csv", CsvBytes(), false), packed = Make("a.csv.gz", Gzip(CsvBytes()), false);
  EXPECT_EQ(plain.rows, packed.rows);
  for (int i = 0; i < Mutations(300); ++i) {
    SCOPED_TRACE(::testing::Message() << "WEIR_TEST_SEED=" << seed_ << ", mutation " << i);
    const Original& original = i % 2 == 0 ? plain : packed;
    std::string rows;
    const bool truncated = Random(3) == 0;
    const std::string bytes = truncated ? Truncate(original) : Damage(original);
    const Status status = Read(original, bytes, &rows, false);
    EXPECT_TRUE(i % 2 == 0 || !status.ok() || rows == original.rows) << "gzip's checksum missed it";
  }
}

TEST_F(Mutated, ArrowIpc) {
  std::vector<Original> originals;
  for (const bool stream : {false, true}) {
    for (const auto codec :
         {arrow::Compression::UNCOMPRESSED, arrow::Compression::ZSTD, arrow::Compression::LZ4_FRAME}) {
      auto options = arrow::ipc::IpcWriteOptions::Defaults();
      if (codec != arrow::Compression::UNCOMPRESSED) options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
      auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
      const auto table = SomeTable();
      auto writer = (stream ? arrow::ipc::MakeStreamWriter(out, table->schema(), options)
                            : arrow::ipc::MakeFileWriter(out, table->schema(), options))
                        .ValueOrDie();
      ASSERT_TRUE(writer->WriteTable(*table, 100).ok());
      ASSERT_TRUE(writer->Close().ok());
      originals.push_back(Make("a.arrow", out->Finish().ValueOrDie()->ToString()));
    }
  }
  for (int i = 0; i < Mutations(100); ++i) {
    SCOPED_TRACE(::testing::Message() << "WEIR_TEST_SEED=" << seed_ << ", mutation " << i);
    const Original& original = originals[Random(originals.size())];
    std::string rows;
    const bool truncated = i % 4 == 0;
    const Status status = Read(original, truncated ? Truncate(original) : Damage(original), &rows);
    EXPECT_FALSE(truncated && status.ok()) << "a truncated file passed unseen";
  }
}

// A tf.Example of one value of each feature; what they mean is tf_record_file_test's.
std::string ExampleBytes(int i) {
  const auto field = [](char tag, const std::string& bytes) {
    return std::string(1, tag) + static_cast<char>(bytes.size()) + bytes;
  };
  const auto feature = [&](const std::string& name, char kind, const std::string& packed) {
    return field('\x0a', field('\x0a', name) + field('\x12', field(kind, field('\x0a', packed))));
  };
  const float x = static_cast<float>(i) / 2;
  const std::string small(1, static_cast<char>(i % 100));
  return field('\x0a', feature("id", '\x1a', small) +
                           feature("label", '\x1a', std::string(1, static_cast<char>(i % 2))) +
                           feature("x", '\x12', std::string(reinterpret_cast<const char*>(&x), 4)) +
                           feature("count", '\x1a', small) + feature("city", '\x0a', "Ulm"));
}

TEST_F(Mutated, TfRecord) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += TfRecordOf(ExampleBytes(i));
  const Original plain = Make("a.tfrecord", bytes, false), packed = Make("a.tfrecord.gz", Gzip(bytes), false);
  const size_t record_bytes = bytes.size() / 300;
  for (int i = 0; i < Mutations(100); ++i) {
    SCOPED_TRACE(::testing::Message() << "WEIR_TEST_SEED=" << seed_ << ", mutation " << i);
    const Original& original = i % 3 == 0 ? packed : plain;
    std::string damaged = original.bytes, rows;
    if (i % 3 == 1) {
      Flip(&damaged, {0, damaged.size()});
      EXPECT_FALSE(Read(original, damaged, &rows, false).ok()) << "a flipped bit passed unseen";
    } else if (i % 3 == 2) {
      damaged.resize(1 + Random(damaged.size() - 1));
      EXPECT_EQ(Read(original, damaged, &rows, false).ok(), damaged.size() % record_bytes == 0);
    } else if (Read(original, Damage(original), &rows, false).ok()) {
      EXPECT_EQ(rows, original.rows) << "gzip's checksum missed it";
    }
  }
}

}  // namespace
}  // namespace weir
