#include "checkpoint/arrow_row_files.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "checkpoint/manifest.h"
#include "checkpoint/policy_file.h"
#include "checkpoint/row_file_reader.h"
#include "checkpoint/row_file_writer.h"

namespace weir {
namespace {

// Wide rows make smaller blocks, so that one stays near this.
constexpr int64_t kBlockBytesTarget = 16 << 20;
constexpr int64_t kBlockRowsMin = 256;

int64_t RowBytes(const RowLayout& layout) {
  return sizeof(uint64_t) + sizeof(int64_t) + sizeof(uint64_t) + layout.weight_bytes() +
         layout.state_width() * sizeof(float);
}

int64_t BlockRows(const RowLayout& layout) {
  return std::clamp<int64_t>(kBlockBytesTarget / RowBytes(layout), kBlockRowsMin, kRowsPerBatchMax);
}

// Part of a file's name: nothing that a path could read otherwise.
bool IsPlainWriterName(const std::string& writer) {
  if (writer.empty() || writer.size() > 100) return false;
  return std::all_of(writer.begin(), writer.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::string FileContext(const std::string& table, ShardRange shards) {
  return fmt::format("table \"{}\", virtual shards [{}, {})", table, shards.begin, shards.end);
}

// Gathers rows [begin, end) of a batch by column into rows of all columns, as TableSet takes them.
class BlockLoader {
 public:
  BlockLoader(TableSet* tables, int table)
      : tables_(tables), table_(table), columns_(ValueColumns(tables->spec(table).layout)) {}

  Status Load(const RowBatch& batch, int64_t begin, int64_t end) {
    RowBlock block;
    block.num_rows = end - begin;
    block.keys = batch.keys + begin;
    block.last_steps = batch.last_steps + begin;
    block.counts = batch.counts + begin;
    if (columns_.size() == 1) {
      block.values = batch.columns[0] + begin * columns_[0].width;
    } else {
      Join(batch, begin, end);
      block.values = values_.data();
    }
    return tables_->Load(table_, block);
  }

 private:
  void Join(const RowBatch& batch, int64_t begin, int64_t end) {
    const size_t width = tables_->spec(table_).layout.width();
    values_.resize((end - begin) * width);
    std::vector<const float*> from(columns_.size());
    for (size_t c = 0; c < columns_.size(); ++c) from[c] = batch.columns[c] + begin * columns_[c].width;
    float* to = values_.data();
    for (int64_t row = begin; row < end; ++row) {
      for (size_t c = 0; c < columns_.size(); ++c) {
        std::memcpy(to, from[c], columns_[c].width * sizeof(float));
        from[c] += columns_[c].width;
        to += columns_[c].width;
      }
    }
  }

  TableSet* const tables_;
  const int table_;
  const std::vector<StateColumn> columns_;
  std::vector<float> values_;
};

// Thread-safe: constant after construction.
class ArrowRowFiles : public RowFiles {
 public:
  ArrowRowFiles(FileSystem* file_system, uint64_t file_bytes_target)
      : file_system_(file_system), file_bytes_target_(std::max<uint64_t>(file_bytes_target, 1)) {}

  Result<std::vector<DataFile>> Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                                      const std::string& writer, const std::function<void()>& on_block) override;
  Status Read(const std::string& folder, std::span<const DataFile> files, ShardRange shards, TableSet* tables,
              const std::function<void()>& on_block) override;

 private:
  Result<DataFile> WriteFile(const TableSet& tables, int table, ShardRange shards, const std::string& folder,
                             const std::string& name, const std::function<void()>& on_block);
  Status ReadFile(const std::string& folder, const DataFile& file, ShardRange shards, TableSet* tables, int table,
                  const std::function<void()>& on_block);

  Status ReadPolicy(const std::string& folder, std::span<const DataFile> files, ShardRange shards, TableSet* tables,
                    int table);

  FileSystem* const file_system_;
  const uint64_t file_bytes_target_;
};

Status CheckRange(ShardRange shards, const TableSet& tables) {
  if (shards.begin >= 0 && shards.begin <= shards.end && shards.end <= tables.virtual_shards()) return Status();
  return InvalidArgument(fmt::format("expected virtual shards within [0, {}), found [{}, {})", tables.virtual_shards(),
                                     shards.begin, shards.end));
}

Result<std::vector<DataFile>> ArrowRowFiles::Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                                                   const std::string& writer, const std::function<void()>& on_block) {
  WEIR_RETURN_IF_ERROR(CheckRange(shards, tables));
  if (!IsPlainWriterName(writer)) {
    return InvalidArgument(fmt::format("writer of row files: expected letters, digits, - and _, found \"{}\"", writer));
  }
  std::vector<DataFile> files;
  const int64_t num_shards = shards.end - shards.begin;
  for (int table = 0; table < tables.num_tables() && num_shards > 0; ++table) {
    // Keys are spread evenly over the shards, so equal runs of shards make files of about equal size.
    const uint64_t bytes = tables.num_rows(table) * RowBytes(tables.spec(table).layout);
    const int64_t parts = std::clamp<int64_t>(bytes / file_bytes_target_ + 1, 1, num_shards);
    for (int64_t part = 0; part < parts; ++part) {
      const ShardRange range{shards.begin + static_cast<int>(num_shards * part / parts),
                             shards.begin + static_cast<int>(num_shards * (part + 1) / parts)};
      const std::string name = fmt::format("rows-{:04}-{}-{:05}.arrow", table, writer, part);
      WEIR_ASSIGN_OR_RETURN(DataFile file, WriteFile(tables, table, range, folder, name, on_block));
      files.push_back(std::move(file));
    }
    const TablePolicy& policy = tables.policy(table);
    if (!policy.limits_rows()) continue;
    const std::string& table_name = tables.spec(table).name;
    Result<DataFile> file = WritePolicyFile(file_system_, folder, fmt::format("policy-{:04}-{}.bin", table, writer),
                                            table_name, policy, shards);
    if (!file.ok()) return file.status().Wrap("saving " + FileContext(table_name, shards));
    files.push_back(std::move(*file));
    if (on_block) on_block();
  }
  return files;
}

Result<DataFile> ArrowRowFiles::WriteFile(const TableSet& tables, int table, ShardRange shards,
                                          const std::string& folder, const std::string& name,
                                          const std::function<void()>& on_block) {
  const TableSpec& spec = tables.spec(table);
  const std::string context = "saving " + FileContext(spec.name, shards);
  Result<std::unique_ptr<RowFileWriter>> writer =
      RowFileWriter::Create(file_system_, folder, name, {spec.name, spec.layout, shards, tables.virtual_shards()});
  if (!writer.ok()) return writer.status().Wrap(context);
  Status scanned =
      tables.Scan(table, shards.begin, shards.end, BlockRows(spec.layout), [&](const RowBlock& block) -> Status {
        WEIR_RETURN_IF_ERROR((*writer)->Append(block));
        if (on_block) on_block();
        return Status();
      });
  if (!scanned.ok()) return scanned.Wrap(context);
  Result<DataFile> file = (*writer)->Finish();
  if (!file.ok()) return file.status().Wrap(context);
  return file;
}

// The files of each table, by ascending shard, cut down to those that hold some of `shards`, which they must cover.
Result<std::vector<std::vector<DataFile>>> SelectFiles(const std::string& folder, std::span<const DataFile> files,
                                                       ShardRange shards, const TableSet& tables) {
  std::set<std::string> known;
  std::vector<std::vector<DataFile>> selected(tables.num_tables());
  Manifest manifest;
  manifest.mutable_files()->Assign(files.begin(), files.end());
  for (int table = 0; table < tables.num_tables(); ++table) {
    const std::string& name = tables.spec(table).name;
    known.insert(name);
    int next = shards.begin;
    for (DataFile& file : RowFilesOf(manifest, name)) {
      if (file.shard_end() <= shards.begin || file.shard_begin() >= shards.end) continue;
      bool joins = next == shards.begin ? file.shard_begin() <= next : file.shard_begin() == next;
      if (!joins) {
        return DataLoss(
            fmt::format("{}: table \"{}\": expected a file whose virtual shards begin with {}, found {} with "
                        "[{}, {})",
                        folder, name, next, file.name(), file.shard_begin(), file.shard_end()));
      }
      next = file.shard_end();
      selected[table].push_back(std::move(file));
    }
    if (next < shards.end) {
      return DataLoss(
          fmt::format("{}: table \"{}\": no file holds virtual shards [{}, {})", folder, name, next, shards.end));
    }
  }
  for (const DataFile& file : files) {
    if (file.kind() == DataFile::ROWS && !known.contains(file.table())) {
      return FailedPrecondition(fmt::format("{}: {} holds rows of table \"{}\", which the job does not have", folder,
                                            file.name(), file.table()));
    }
  }
  return selected;
}

Status ArrowRowFiles::Read(const std::string& folder, std::span<const DataFile> files, ShardRange shards,
                           TableSet* tables, const std::function<void()>& on_block) {
  WEIR_RETURN_IF_ERROR(CheckRange(shards, *tables));
  if (shards.begin == shards.end) return Status();
  WEIR_ASSIGN_OR_RETURN(auto selected, SelectFiles(folder, files, shards, *tables));
  for (int table = 0; table < tables->num_tables(); ++table) {
    for (const DataFile& file : selected[table]) {
      Status status = ReadFile(folder, file, shards, tables, table, on_block);
      if (!status.ok()) return status.Wrap("loading " + FileContext(tables->spec(table).name, shards));
    }
    WEIR_RETURN_IF_ERROR(ReadPolicy(folder, files, shards, tables, table));
  }
  return Status();
}

// A checkpoint without such files is of a table that had no limits, and so remembers nothing.
Status ArrowRowFiles::ReadPolicy(const std::string& folder, std::span<const DataFile> files, ShardRange shards,
                                 TableSet* tables, int table) {
  const std::string& name = tables->spec(table).name;
  for (const DataFile& file : files) {
    if (file.kind() != DataFile::POLICY || file.table() != name) continue;
    if (file.shard_end() <= shards.begin || file.shard_begin() >= shards.end) continue;
    const Status status = ReadPolicyFile(file_system_, folder, file, shards, tables->mutable_policy(table));
    if (!status.ok()) return status.Wrap("loading " + FileContext(name, shards));
  }
  return tables->mutable_policy(table)->FitLoaded();
}

Status ArrowRowFiles::ReadFile(const std::string& folder, const DataFile& file, ShardRange shards, TableSet* tables,
                               int table, const std::function<void()>& on_block) {
  const int virtual_shards = tables->virtual_shards();
  RowFileHeader header{file.table(), tables->spec(table).layout, {}, virtual_shards};
  WEIR_ASSIGN_OR_RETURN(auto reader, RowFileReader::Open(file_system_, folder, file, std::move(header)));
  BlockLoader loader(tables, table);
  while (true) {
    WEIR_ASSIGN_OR_RETURN(RowBatch batch, reader->Next());
    if (batch.num_rows == 0) return Status();
    // Rows come by ascending shard, so those wanted are one run.
    const uint64_t* keys_end = batch.keys + batch.num_rows;
    auto before = [&](int shard) { return [=](uint64_t key) { return VirtualShard(key, virtual_shards) < shard; }; };
    const uint64_t* begin = std::partition_point(batch.keys, keys_end, before(shards.begin));
    const uint64_t* end = std::partition_point(begin, keys_end, before(shards.end));
    if (begin != end) {
      Status status = loader.Load(batch, begin - batch.keys, end - batch.keys);
      if (!status.ok()) return status.Wrap(reader->path());
    }
    if (on_block) on_block();
  }
}

}  // namespace

std::unique_ptr<RowFiles> MakeArrowRowFiles(FileSystem* file_system, uint64_t file_bytes_target) {
  return std::make_unique<ArrowRowFiles>(file_system, file_bytes_target);
}

}  // namespace weir
