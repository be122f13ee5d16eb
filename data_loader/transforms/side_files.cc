#include "data_loader/transforms/side_files.h"

#include <algorithm>
#include <unordered_set>

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include "data_loader/columns/cells.h"
#include "data_loader/columns/key.h"
#include "data_loader/columns/list_bounds.h"
#include "data_loader/formats/broken_rows.h"
#include "data_loader/formats/lake_file.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/lake.h"
#include "data_loader/transforms/elements.h"
#include "proto/memory_size.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

Result<LakeEntry> FindFile(const std::string& uri) {
  SourceConfig source;
  source.add_uri(uri);
  WEIR_ASSIGN_OR_RETURN(std::vector<LakeEntry> entries, ListFiles(source));
  if (entries.size() == 1) return entries[0];
  return InvalidArgument(fmt::format("{}: expected one file, found {}", uri, entries.size()));
}

// Calls visit(bytes) for the file, piece by piece.
template <typename Visit>
Status ReadPieces(const LakeEntry& entry, const Visit& visit) {
  constexpr int64_t kPieceBytes = 1 << 20;
  WEIR_ASSIGN_OR_RETURN(const auto file, OpenEntry(entry));
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const auto piece, FromArrow(file->Read(kPieceBytes), entry.path));
    if (piece->size() == 0) return Status();
    visit(std::string_view(*piece));
  }
}

Result<FileDigest> DigestOf(const LakeEntry& entry) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  uint64_t bytes = 0;
  WEIR_RETURN_IF_ERROR(ReadPieces(entry, [&](std::string_view piece) {
    XXH3_128bits_update(state.get(), piece.data(), piece.size());
    bytes += piece.size();
  }));
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  FileDigest digest;
  digest.set_bytes(bytes);
  digest.set_xxh3_128(fmt::format("{:016x}{:016x}", hash.high64, hash.low64));
  return digest;
}

Status CheckDigest(const LakeEntry& entry, const FileDigest& expected) {
  if (!expected.has_xxh3_128()) {
    return InvalidArgument(
        fmt::format("{}: the job does not say what the file has to be: it was not fitted", entry.path));
  }
  WEIR_ASSIGN_OR_RETURN(const FileDigest found, DigestOf(entry));
  if (found.bytes() == expected.bytes() && found.xxh3_128() == expected.xxh3_128()) return Status();
  return FailedPrecondition(fmt::format(
      "{}: expected the file that the job was made with, of {} bytes and XXH3 {}, found one of {} bytes and "
      "XXH3 {}: the model would see other values than it was trained on",
      entry.path, expected.bytes(), expected.xxh3_128(), found.bytes(), found.xxh3_128()));
}

// Both columns of a table, one chunk after the other.
struct Chunks {
  arrow::ArrayVector ids, values;
};

Status ReadChunks(const LakeFile& file, const LookupConfig& config, Chunks* chunks) {
  constexpr int64_t kBatchRows = 65'536;
  WEIR_ASSIGN_OR_RETURN(const int64_t bytes_max, ParseMemory(config.memory()));
  std::vector<std::string> columns = {config.key()};
  if (config.value() != config.key()) columns.push_back(config.value());
  int64_t bytes = 0;
  for (size_t group = 0; group < file.row_groups().size(); ++group) {
    WEIR_ASSIGN_OR_RETURN(const auto reader,
                          file.Read(static_cast<int>(group), 0, file.row_groups()[group].rows, columns, kBatchRows));
    int64_t row = file.first_rows()[group];
    while (true) {
      WEIR_ASSIGN_OR_RETURN(const auto batch, reader->Next());
      if (batch == nullptr) break;
      WEIR_RETURN_IF_ERROR(RefuseBrokenRows(*batch, row, file.path()));
      row += batch->num_rows();
      WEIR_ASSIGN_OR_RETURN(auto ids, WithoutDictionary(batch->GetColumnByName(config.key())));
      WEIR_ASSIGN_OR_RETURN(auto values, WithoutDictionary(batch->GetColumnByName(config.value())));
      bytes += arrow::util::TotalBufferSize(*ids) + arrow::util::TotalBufferSize(*values);
      if (bytes > bytes_max) {
        return ResourceExhausted(
            fmt::format("{}: columns {} and {} take more than lookup.memory, {}: raise it, or join "
                        "the column to the data beforehand",
                        file.path(), config.key(), config.value(), config.memory()));
      }
      chunks->ids.push_back(std::move(ids));
      chunks->values.push_back(std::move(values));
    }
  }
  return Status();
}

Result<std::shared_ptr<arrow::Array>> Join(const arrow::ArrayVector& chunks,
                                           const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  if (!chunks.empty()) return FromArrow(arrow::Concatenate(chunks), path);
  return FromArrow(arrow::MakeEmptyArray(type), path);
}

template <typename Map, typename Id>
Status AddId(const Id& id, int64_t row, const std::string& column, Map* rows) {
  if (rows->emplace(id, row).second) return Status();
  return InvalidArgument(fmt::format("column {}: expected each id once, found '{}' in row {} and in row {}", column, id,
                                     rows->find(id)->second, row));
}

// Fills in the rows by id; rows without an id are left out.
Status IndexIds(const std::string& column, SideTable* table) {
  const int64_t n = table->ids->length();
  std::vector<Cell> cells(n);
  if (table->integer_ids) {
    std::vector<uint64_t> ids(n);
    WEIR_RETURN_IF_ERROR(ReadIntegers(*table->ids, ids.data(), cells.data()));
    for (int64_t row = 0; row < n; ++row) {
      if (cells[row] == Cell::kBad) {
        return InvalidArgument(
            fmt::format("column {}: row {}: expected an integer, as the column that is looked up "
                        "has, found {}",
                        column, row, CellText(*table->ids, row)));
      }
      if (cells[row] == Cell::kValue) WEIR_RETURN_IF_ERROR(AddId(ids[row], row, column, &table->rows_of_integer));
    }
    return Status();
  }
  std::vector<std::string_view> ids(n);
  WEIR_RETURN_IF_ERROR(ReadStrings(*table->ids, ids.data(), cells.data()));
  for (int64_t row = 0; row < n; ++row) {
    if (cells[row] == Cell::kValue) WEIR_RETURN_IF_ERROR(AddId(ids[row], row, column, &table->rows_of_string));
  }
  return Status();
}

// Whether ids are integers; one side of text takes the other's type.
Result<bool> HasIntegerIds(const ColumnType& looked_up, const ColumnType& key, const std::string& column) {
  const arrow::DataType& id = ElementType(*looked_up.type);
  const arrow::DataType& own = ElementType(*key.type);
  const bool integers = IsIntegerType(id) || IsIntegerType(own);
  const auto fits = [&](const arrow::DataType& type, bool text) {
    return integers ? IsIntegerType(type) || (text && IsStringType(type)) : IsStringType(type);
  };
  if (fits(id, looked_up.text) && fits(own, key.text) && !IsListType(*key.type)) return integers;
  return InvalidArgument(
      fmt::format("column {}: expected integers or strings, as the column that is looked up has ({}), found {}", column,
                  looked_up.type->ToString(), key.type->ToString()));
}

Result<ColumnType> FindColumn(const LakeFile& file, const std::string& name) {
  if (const auto field = file.schema()->GetFieldByName(name); field != nullptr) {
    auto type = field->type();
    if (type->id() == arrow::Type::DICTIONARY) type = static_cast<const arrow::DictionaryType&>(*type).value_type();
    return ColumnType{type, IsText(*field)};
  }
  return InvalidArgument(fmt::format("expected one column '{}', found none or several{}", name,
                                     SuggestName(name, file.schema()->field_names())));
}

Result<std::shared_ptr<const SideTable>> LoadTable(const LakeEntry& entry, const LookupConfig& config,
                                                   const ColumnType& id_type) {
  DataConfig data;
  data.set_format(config.format());
  if (config.has_csv()) *data.mutable_csv() = config.csv();
  WEIR_ASSIGN_OR_RETURN(const auto file, LakeFile::Open(entry, data));
  auto table = std::make_shared<SideTable>();
  WEIR_ASSIGN_OR_RETURN(const ColumnType key, FindColumn(*file, config.key()));
  WEIR_ASSIGN_OR_RETURN(table->value_type, FindColumn(*file, config.value()));
  WEIR_ASSIGN_OR_RETURN(table->integer_ids, HasIntegerIds(id_type, key, config.key()));
  Chunks chunks;
  WEIR_RETURN_IF_ERROR(ReadChunks(*file, config, &chunks));
  WEIR_ASSIGN_OR_RETURN(table->ids, Join(chunks.ids, key.type, entry.path));
  WEIR_ASSIGN_OR_RETURN(table->values, Join(chunks.values, table->value_type.type, entry.path));
  WEIR_RETURN_IF_ERROR(IndexIds(config.key(), table.get()));
  if (table->integer_ids) table->ids = nullptr;
  return std::shared_ptr<const SideTable>(std::move(table));
}

}  // namespace

Result<FileDigest> SideFiles::Digest(const std::string& uri) {
  WEIR_ASSIGN_OR_RETURN(const LakeEntry entry, FindFile(uri));
  return DigestOf(entry);
}

Result<std::string> ReadSideFile(const std::string& uri, int64_t bytes_max) {
  WEIR_ASSIGN_OR_RETURN(const LakeEntry entry, FindFile(uri));
  if (entry.bytes > static_cast<uint64_t>(bytes_max)) {
    return ResourceExhausted(fmt::format("{}: expected at most {}, found {}", entry.path, FormatMemory(bytes_max),
                                         FormatMemory(static_cast<int64_t>(entry.bytes))));
  }
  std::string text;
  WEIR_RETURN_IF_ERROR(ReadPieces(entry, [&](std::string_view piece) { text += piece; }));
  return text;
}

Result<std::vector<std::string>> SplitLines(const std::string& name, const std::string& text) {
  arrow::util::InitializeUTF8();
  if (!arrow::util::ValidateUTF8(text)) return InvalidArgument(fmt::format("{}: expected text in UTF-8", name));
  std::vector<std::string> lines;
  std::unordered_map<std::string, size_t> seen;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    begin = end + 1;
    if (line.empty()) {
      return InvalidArgument(fmt::format("{}:{}: expected a value, found an empty line", name, lines.size() + 1));
    }
    const auto [at, is_new] = seen.emplace(line, lines.size() + 1);
    if (!is_new) {
      return InvalidArgument(fmt::format("{}:{}: expected each value once, found '{}' in line {} too", name,
                                         lines.size() + 1, line, at->second));
    }
    lines.push_back(std::move(line));
  }
  if (lines.empty()) return InvalidArgument(fmt::format("{}: expected a value a line, found none", name));
  return lines;
}

Result<std::shared_ptr<const std::vector<std::string>>> SideFiles::Lines(const std::string& path,
                                                                         const FileDigest& digest) {
  constexpr int64_t kBytesMax = int64_t{1} << 30;
  auto& kept = lines_[path];
  if (kept != nullptr) return kept;
  WEIR_ASSIGN_OR_RETURN(const LakeEntry entry, FindFile(path));
  WEIR_RETURN_IF_ERROR(CheckDigest(entry, digest));
  WEIR_ASSIGN_OR_RETURN(const std::string text, ReadSideFile(path, kBytesMax));
  WEIR_ASSIGN_OR_RETURN(auto lines, SplitLines(entry.path, text));
  kept = std::make_shared<const std::vector<std::string>>(std::move(lines));
  return kept;
}

Result<std::shared_ptr<const SideTable>> SideFiles::Table(const LookupConfig& config, const ColumnType& id_type) {
  const std::string id = fmt::format("{}\n{}{}", config.SerializeAsString(), id_type.type->ToString(), id_type.text);
  auto& kept = tables_[id];
  if (kept != nullptr) return kept;
  WEIR_ASSIGN_OR_RETURN(const LakeEntry entry, FindFile(config.uri()));
  WEIR_RETURN_IF_ERROR(CheckDigest(entry, config.file()));
  auto table = LoadTable(entry, config, id_type);
  if (!table.ok()) return table.status().Wrap(entry.path);
  kept = *table;
  return kept;
}

}  // namespace weir
