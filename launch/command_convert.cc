#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "data_loader/lake/lake.h"
#include "launch/commands.h"
#include "launch/convert/convert.h"
#include "launch/convert/criteo_source.h"
#include "launch/convert/csv_source.h"
#include "launch/convert/libsvm_source.h"
#include "launch/data_words.h"
#include "launch/report/json_writer.h"
#include "launch/stop_signal.h"

namespace weir {
namespace {

constexpr int64_t kNoLimit = INT64_MAX;

Result<arrow::Compression::type> Compression(const CommandLine& line) {
  const std::string name = line.Flag("compression", "zstd");
  if (name == "zstd") return arrow::Compression::ZSTD;
  if (name == "lz4") return arrow::Compression::LZ4;
  if (name == "none") return arrow::Compression::UNCOMPRESSED;
  return InvalidArgument(fmt::format("--compression is \"{}\", expected zstd, lz4 or none", name));
}

Result<ParquetOutputOptions> OutputOptions(const CommandLine& line) {
  ParquetOutputOptions options;
  options.path = line.arguments.back();
  options.force = line.HasFlag("force");
  WEIR_ASSIGN_OR_RETURN(options.rows_per_file, line.Number("rows_per_file", 0, 1, kNoLimit));
  WEIR_ASSIGN_OR_RETURN(options.rows_per_group, line.Number("rows_per_group", options.rows_per_group, 1, 1 << 30));
  WEIR_ASSIGN_OR_RETURN(options.compression, Compression(line));
  return options;
}

// The words between the format and the output: files, and for CSV how they are written.
Result<SourceConfig> Inputs(const CommandLine& line, Job* job) {
  const std::vector<std::string> words(line.arguments.begin() + 1, line.arguments.end() - 1);
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> uris, TakeDataWords(words, job));
  SourceConfig source;
  for (const std::string& uri : uris) source.add_uri(uri);
  return source;
}

// "a=int64,b=string".
Result<std::map<std::string, std::string>> DeclaredTypes(const CommandLine& line) {
  std::map<std::string, std::string> types;
  std::string text = line.Flag("types");
  while (!text.empty()) {
    const std::string word = text.substr(0, text.find(','));
    text.erase(0, word.size() + 1);
    const size_t equals = word.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument(fmt::format("--types: expected column=type, found \"{}\"", word));
    }
    types[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return types;
}

Result<std::optional<LibsvmKind>> KindOfLibsvm(const CommandLine& line) {
  const std::string name = line.Flag("kind");
  if (name.empty()) return std::optional<LibsvmKind>();
  if (name == "libsvm") return std::optional(LibsvmKind::kLibsvm);
  if (name == "libffm") return std::optional(LibsvmKind::kLibffm);
  return InvalidArgument(fmt::format("--kind is \"{}\", expected libsvm or libffm", name));
}

Result<std::unique_ptr<RecordSource>> OpenCsv(const CommandLine& line, Job job, const SourceConfig& source) {
  if (line.HasFlag("max_bad_rows")) {
    return InvalidArgument("--max_bad_rows: convert csv leaves no row out; --types says which columns are strings");
  }
  job.mutable_data()->set_format(DataConfig::CSV);
  WEIR_ASSIGN_OR_RETURN(const auto types, DeclaredTypes(line));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<CsvSource> opened, CsvSource::Open(job.data(), source, types));
  return std::unique_ptr<RecordSource>(std::move(opened));
}

Result<std::unique_ptr<RecordSource>> OpenSource(const CommandLine& line, BadLines* bad) {
  Job job;
  WEIR_ASSIGN_OR_RETURN(const SourceConfig source, Inputs(line, &job));
  const std::string& format = line.arguments[0];
  if (format == "csv") return OpenCsv(line, job, source);
  if (job.has_data()) return InvalidArgument(fmt::format("data.*: expected for csv only, found for {}", format));
  if (format == "criteo") {
    WEIR_ASSIGN_OR_RETURN(std::vector<LakeEntry> files, ListFiles(source));
    return std::unique_ptr<RecordSource>(
        std::make_unique<CriteoSource>(std::move(files), !line.HasFlag("no_label"), bad));
  }
  if (format == "libsvm") {
    WEIR_ASSIGN_OR_RETURN(const std::vector<LakeEntry> files, ListFiles(source));
    WEIR_ASSIGN_OR_RETURN(const std::optional<LibsvmKind> kind, KindOfLibsvm(line));
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<LibsvmSource> opened, LibsvmSource::Open(files, kind, bad));
    return std::unique_ptr<RecordSource>(std::move(opened));
  }
  return InvalidArgument(fmt::format("unknown format \"{}\": expected criteo, libsvm or csv", format));
}

std::string ReportJson(const CommandLine& line, const ParquetWritten& written, const BadLines& bad) {
  JsonWriter json;
  json.BeginObject();
  json.Text("out", line.arguments.back());
  json.Integer("rows", written.rows);
  json.Integer("files", written.files);
  json.Integer("bytes", written.bytes);
  json.Integer("bad_rows", bad.count());
  json.Name("bad_rows_by_reason");
  json.BeginObject();
  for (const auto& [reason, count] : bad.by_reason()) json.Integer(reason, count);
  json.EndObject();
  json.EndObject();
  return json.text();
}

Status ConvertFiles(const CommandLine& line) {
  WEIR_ASSIGN_OR_RETURN(const ParquetOutputOptions options, OutputOptions(line));
  WEIR_ASSIGN_OR_RETURN(const int64_t max_bad_rows, line.Number("max_bad_rows", 0, 0, kNoLimit));
  InstallStopSignals(/*alone=*/true);
  BadLines bad(max_bad_rows);
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<RecordSource> source, OpenSource(line, &bad));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<ParquetOutput> output,
                        ParquetOutput::Open(&LocalFileSystem(), options, source->schema()));
  WEIR_ASSIGN_OR_RETURN(const ParquetWritten written, Convert(source.get(), output.get()));
  fmt::print("{}\n", ReportJson(line, written, bad));
  return Status();
}

}  // namespace

int RunConvert(const CommandLine& line) {
  const Status status = ConvertFiles(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
