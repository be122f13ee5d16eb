#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
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

// What was typed: FORMAT IN... OUT, and for CSV words between them that say how it is written.
struct Request {
  std::string format;
  DataConfig data;
  SourceConfig source;
  ParquetOutputOptions output;
};

Result<Request> ReadRequest(const CommandLine& line) {
  Request request;
  request.format = line.arguments[0];
  Job job;
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> words,
                        TakeDataWords(std::span(line.arguments).subspan(1), &job));
  if (words.size() < 2) return InvalidArgument("expected IN and OUT after the format");
  if (job.has_data() && request.format != "csv") {
    return InvalidArgument(fmt::format("data.*: expected for csv only, found for {}", request.format));
  }
  request.data = job.data();
  for (size_t i = 0; i + 1 < words.size(); ++i) request.source.add_uri(words[i]);
  ParquetOutputOptions& output = request.output;
  output.path = words.back();
  output.force = line.HasFlag("force");
  WEIR_ASSIGN_OR_RETURN(output.rows_per_file, line.Number("rows_per_file", 0, 1, kNoLimit));
  WEIR_ASSIGN_OR_RETURN(output.rows_per_group, line.Number("rows_per_group", output.rows_per_group, 1, 1 << 30));
  WEIR_ASSIGN_OR_RETURN(output.compression, Compression(line));
  WEIR_RETURN_IF_ERROR(CheckOutput(&LocalFileSystem(), output));
  return request;
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

// Flags that mean nothing for a format are not passed over.
Status CheckFlags(const CommandLine& line, const std::string& format) {
  const std::pair<const char*, const char*> only[] = {{"no_label", "criteo"}, {"kind", "libsvm"}, {"types", "csv"}};
  for (const auto& [flag, its_format] : only) {
    if (line.HasFlag(flag) && format != its_format) {
      return InvalidArgument(fmt::format("--{}: expected for {} only, found for {}", flag, its_format, format));
    }
  }
  if (format == "csv" && line.HasFlag("max_bad_rows")) {
    return InvalidArgument("--max_bad_rows: convert csv leaves no row out; --types says which columns are strings");
  }
  return Status();
}

Result<std::unique_ptr<RecordSource>> OpenSource(const CommandLine& line, const Request& request, BadLines* bad) {
  if (request.format == "csv") {
    DataConfig data = request.data;
    data.set_format(DataConfig::CSV);
    WEIR_ASSIGN_OR_RETURN(const auto types, DeclaredTypes(line));
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<CsvSource> opened, CsvSource::Open(data, request.source, types));
    return std::unique_ptr<RecordSource>(std::move(opened));
  }
  if (request.format != "criteo" && request.format != "libsvm") {
    return InvalidArgument(fmt::format("unknown format \"{}\": expected criteo, libsvm or csv", request.format));
  }
  WEIR_ASSIGN_OR_RETURN(std::vector<LakeEntry> files, ListFiles(request.source));
  if (request.format == "criteo") {
    return std::unique_ptr<RecordSource>(
        std::make_unique<CriteoSource>(std::move(files), !line.HasFlag("no_label"), bad));
  }
  WEIR_ASSIGN_OR_RETURN(const std::optional<LibsvmKind> kind, KindOfLibsvm(line));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<LibsvmSource> opened, LibsvmSource::Open(files, kind, bad));
  return std::unique_ptr<RecordSource>(std::move(opened));
}

std::string ReportJson(const std::string& out, const ParquetWritten& written, const BadLines& bad) {
  JsonWriter json;
  json.BeginObject();
  json.Text("out", out);
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
  WEIR_ASSIGN_OR_RETURN(const Request request, ReadRequest(line));
  WEIR_RETURN_IF_ERROR(CheckFlags(line, request.format));
  WEIR_ASSIGN_OR_RETURN(const int64_t max_bad_rows, line.Number("max_bad_rows", 0, 0, kNoLimit));
  InstallStopSignals(/*alone=*/true);
  BadLines bad(max_bad_rows);
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<RecordSource> source, OpenSource(line, request, &bad));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<ParquetOutput> output,
                        ParquetOutput::Open(&LocalFileSystem(), request.output, source->schema()));
  WEIR_ASSIGN_OR_RETURN(const ParquetWritten written, Convert(source.get(), output.get()));
  fmt::print("{}\n", ReportJson(request.output.path, written, bad));
  return Status();
}

}  // namespace

int RunConvert(const CommandLine& line) {
  const Status status = ConvertFiles(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
