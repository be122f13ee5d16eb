#include "embeddings/disk_rows.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "base/file_lock.h"
#include "base/file_system.h"
#include "base/random.h"
#include "embeddings/disk_database_options.h"
#include "embeddings/presence_filter.h"
#include "embeddings/virtual_shard.h"

namespace weir {
namespace {

constexpr char kMarkerName[] = "WEIR_DISK_ROWS";
constexpr int kFoldersMax = 64;
constexpr size_t kKeyBytes = 12;
constexpr size_t kHeaderBytes = 16;        // last step, count
constexpr size_t kWriteBytes = 256 << 10;  // of one write to the database
constexpr auto kStallNap = std::chrono::microseconds(500);
constexpr auto kStallMax = std::chrono::minutes(2);

using KeyBytes = std::array<uint8_t, kKeyBytes>;  // unsigned: their order is the database's

void PutBigEndian(uint64_t value, int bytes, uint8_t* to) {
  for (int i = 0; i < bytes; ++i) to[i] = static_cast<uint8_t>(value >> (8 * (bytes - 1 - i)));
}

uint64_t GetBigEndian(const uint8_t* from, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | from[i];
  return value;
}

rocksdb::Slice AsSlice(const KeyBytes& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

struct TakenFolder {
  std::string folder;
  std::unique_ptr<FileLock> lock;
};

// Takes a subfolder: makes it, or finds that it is ours. The lock is null when another process uses it.
Result<TakenFolder> TryFolder(const std::string& folder) {
  FileSystem& files = LocalFileSystem();
  WEIR_RETURN_IF_ERROR(files.CreateFolders(folder));
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  const std::string marker = JoinPath(folder, kMarkerName);
  if (!names.empty() && !files.Exists(marker)) {
    return FailedPrecondition(fmt::format(
        "disk folder {}: expected it empty or with our file {}, found {}: name another folder in tables.disk.path, or "
        "empty this one",
        folder, kMarkerName, names.front()));
  }
  Result<std::unique_ptr<FileLock>> lock = FileLock::Acquire(marker);
  if (!lock.ok() && lock.status().code() != StatusCode::kFailedPrecondition) return lock.status();
  // Who held it until now may have removed the file.
  if (!lock.ok() || !files.Exists(marker)) return TakenFolder{folder, nullptr};
  return TakenFolder{folder, std::move(*lock)};
}

// The owner's subfolder, or the first of its numbered siblings that no other process uses.
Result<TakenFolder> TakeFolder(const std::string& path, const std::string& owner) {
  for (int number = 0; number < kFoldersMax; ++number) {
    const std::string name = number == 0 ? owner : fmt::format("{}.{}", owner, number);
    WEIR_ASSIGN_OR_RETURN(TakenFolder taken, TryFolder(JoinPath(path, name)));
    if (taken.lock != nullptr) return taken;
  }
  return ResourceExhausted(fmt::format("disk folder {}: expected at most {} processes that use it at once",
                                       JoinPath(path, owner), kFoldersMax));
}

}  // namespace

class DiskRows::Database {
 public:
  explicit Database(DiskRowsOptions options)
      : options_(std::move(options)),
        present_(MemoryBytes(options_) / 4),
        setup_(MakeDiskDatabaseOptions(MemoryBytes(options_) / 8 * 5)) {}
  ~Database();

  Status Open();
  Status Put(int table, std::span<const DiskRow> rows);
  Status Get(int table, std::span<const uint64_t> keys, const std::function<void(size_t, const DiskRow&)>& found);
  Status Erase(int table, std::span<const uint64_t> keys);
  std::unique_ptr<Cursor> Scan(int table, int virtual_shard) const;
  int64_t disk_bytes(int table) const;
  int64_t memory_bytes() const;
  const std::string& folder() const { return folder_; }

 private:
  class ShardCursor;

  static int64_t MemoryBytes(const DiskRowsOptions& options) {
    return std::max(options.memory_bytes, DiskRows::kMemoryMinBytes);
  }
  size_t ValueBytes(int table) const {
    return kHeaderBytes + options_.tables[table].weight_bytes + options_.tables[table].state_bytes;
  }
  int ShardOf(uint64_t key) const { return VirtualShard(key, options_.virtual_shards); }
  KeyBytes Encode(int table, int shard, uint64_t key) const;
  // The row lives as long as the value and the scratch.
  Status Decode(int table, uint64_t key, const rocksdb::Slice& value, std::vector<uint32_t>* scratch,
                DiskRow* row) const;
  Status Write();
  Status ToStatus(const rocksdb::Status& status, std::string_view doing, int table) const;

  const DiskRowsOptions options_;
  std::string folder_;  // set by Open, as is the next
  std::string rows_folder_;
  PresenceFilter present_;
  DiskDatabaseOptions setup_;
  bool made_path_ = false;
  std::unique_ptr<FileLock> lock_;  // null until the folder is ours
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteBatch batch_;
  int batch_table_ = 0;
  std::string value_;  // scratch of Put
  // Scratch of Get: encoded keys with their numbers, sorted.
  std::vector<std::pair<KeyBytes, size_t>> wanted_;
  std::vector<rocksdb::Slice> slices_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
  std::vector<uint32_t> scratch_;
};

DiskRows::Database::~Database() {
  if (db_ != nullptr) {
    rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/true);
    db_.reset();
  }
  if (lock_ == nullptr) return;
  FileSystem& files = LocalFileSystem();
  const Status removed = files.RemoveAll(rows_folder_);
  if (!removed.ok()) {
    LOG(WARNING) << "disk folder " << folder_ << " stays: " << removed.ToString();
    return;
  }
  files.RemoveAll(JoinPath(folder_, kMarkerName)).IgnoreError();
  lock_.reset();
  // Only when empty: another owner, or someone else, may have files there.
  ::rmdir(folder_.c_str());
  if (made_path_) ::rmdir(options_.path.c_str());
}

Status DiskRows::Database::Open() {
  FileSystem& files = LocalFileSystem();
  made_path_ = !files.Exists(options_.path);
  WEIR_ASSIGN_OR_RETURN(TakenFolder taken, TakeFolder(options_.path, options_.owner));
  folder_ = std::move(taken.folder);
  rows_folder_ = JoinPath(folder_, "rows");
  lock_ = std::move(taken.lock);
  WEIR_RETURN_IF_ERROR(files.RemoveAll(rows_folder_));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(setup_.options, rows_folder_, &db);
  db_.reset(db);
  return ToStatus(opened, "opening the database", -1);
}

Status DiskRows::Database::ToStatus(const rocksdb::Status& status, std::string_view doing, int table) const {
  if (status.ok()) return Status();
  const std::string of = table < 0 ? "" : fmt::format(" of table {}", options_.tables[table].name);
  const std::string message = fmt::format("disk folder {}: {}{}: {}", folder_, doing, of, status.ToString());
  if (status.IsNoSpace()) {
    return ResourceExhausted(message +
                             ": make room, name a folder on a larger disk in tables.disk.path, or raise "
                             "tables.memory");
  }
  if (status.IsCorruption()) return DataLoss(message + ": the disk gave back other bytes than it was given");
  return Internal(message);
}

KeyBytes DiskRows::Database::Encode(int table, int shard, uint64_t key) const {
  KeyBytes bytes;
  PutBigEndian(static_cast<uint64_t>(table), 2, bytes.data());
  PutBigEndian(static_cast<uint64_t>(shard), 2, bytes.data() + 2);
  PutBigEndian(key, 8, bytes.data() + 4);
  return bytes;
}

Status DiskRows::Database::Decode(int table, uint64_t key, const rocksdb::Slice& value, std::vector<uint32_t>* scratch,
                                  DiskRow* row) const {
  const DiskTable& of = options_.tables[table];
  if (value.size() != ValueBytes(table)) {
    return DataLoss(fmt::format("disk folder {}: table {}, key {}: expected a row of {} bytes, found {}", folder_,
                                of.name, key, ValueBytes(table), value.size()));
  }
  row->key = key;
  std::memcpy(&row->last_step, value.data(), 8);
  std::memcpy(&row->count, value.data() + 8, 8);
  const char* bytes = value.data();
  if (reinterpret_cast<uintptr_t>(bytes) % sizeof(uint32_t) != 0) {
    scratch->resize(value.size() / sizeof(uint32_t) + 1);
    bytes = static_cast<const char*>(std::memcpy(scratch->data(), bytes, value.size()));
  }
  row->weights = bytes + kHeaderBytes;
  row->state = bytes + kHeaderBytes + of.weight_bytes;
  return Status();
}

// Writes the batch and empties it. RocksDB would wait inside the call while files are behind, for ever when the
// background has failed: so it is told not to, and we wait.
Status DiskRows::Database::Write() {
  if (batch_.Count() == 0) return Status();
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  options.no_slowdown = true;
  const auto begin = std::chrono::steady_clock::now();
  rocksdb::Status status;
  while (true) {
    const rocksdb::Status failed = setup_.errors->first();
    if (!failed.ok()) {
      batch_.Clear();
      return ToStatus(failed, "writing rows in the background, noticed while writing rows", batch_table_);
    }
    status = db_->Write(options, &batch_);
    if (!status.IsIncomplete()) break;
    if (std::chrono::steady_clock::now() - begin > kStallMax) {
      batch_.Clear();
      return DeadlineExceeded(
          fmt::format("disk folder {}: writing rows of table {}: the disk did not keep up for 120 s", folder_,
                      options_.tables[batch_table_].name));
    }
    std::this_thread::sleep_for(kStallNap);
  }
  batch_.Clear();
  return ToStatus(status, "writing rows", batch_table_);
}

Status DiskRows::Database::Put(int table, std::span<const DiskRow> rows) {
  batch_table_ = table;
  const DiskTable& of = options_.tables[table];
  value_.resize(ValueBytes(table));
  for (const DiskRow& row : rows) {
    std::memcpy(value_.data(), &row.last_step, 8);
    std::memcpy(value_.data() + 8, &row.count, 8);
    std::memcpy(value_.data() + kHeaderBytes, row.weights, of.weight_bytes);
    if (of.state_bytes > 0) std::memcpy(value_.data() + kHeaderBytes + of.weight_bytes, row.state, of.state_bytes);
    const KeyBytes key = Encode(table, ShardOf(row.key), row.key);
    const rocksdb::Status added = batch_.Put(AsSlice(key), value_);
    CHECK(added.ok()) << added.ToString();  // a batch only fails past 4 GiB
    present_.Add(PresenceFilter::HashOf(table, row.key));
    if (batch_.GetDataSize() >= kWriteBytes) WEIR_RETURN_IF_ERROR(Write());
  }
  return Write();
}

Status DiskRows::Database::Erase(int table, std::span<const uint64_t> keys) {
  batch_table_ = table;
  for (uint64_t key : keys) {
    if (!present_.MayContain(PresenceFilter::HashOf(table, key))) continue;
    const KeyBytes bytes = Encode(table, ShardOf(key), key);
    const rocksdb::Status added = batch_.Delete(AsSlice(bytes));
    CHECK(added.ok()) << added.ToString();
    if (batch_.GetDataSize() >= kWriteBytes) WEIR_RETURN_IF_ERROR(Write());
  }
  return Write();
}

Status DiskRows::Database::Get(int table, std::span<const uint64_t> keys,
                               const std::function<void(size_t, const DiskRow&)>& found) {
  constexpr size_t kAhead = 16;
  constexpr size_t kAtOnce = 256;  // values held at a time
  wanted_.clear();
  for (size_t i = 0; i < keys.size() + kAhead; ++i) {
    if (i < keys.size()) present_.Prefetch(PresenceFilter::HashOf(table, keys[i]));
    if (i < kAhead) continue;
    const uint64_t key = keys[i - kAhead];
    if (!present_.MayContain(PresenceFilter::HashOf(table, key))) continue;
    wanted_.emplace_back(Encode(table, ShardOf(key), key), i - kAhead);
  }
  std::sort(wanted_.begin(), wanted_.end());
  values_.resize(kAtOnce);
  statuses_.resize(kAtOnce);
  rocksdb::ReadOptions options;
  for (size_t begin = 0; begin < wanted_.size(); begin += kAtOnce) {
    const size_t n = std::min(kAtOnce, wanted_.size() - begin);
    slices_.clear();
    for (size_t i = 0; i < n; ++i) slices_.push_back(AsSlice(wanted_[begin + i].first));
    db_->MultiGet(options, db_->DefaultColumnFamily(), n, slices_.data(), values_.data(), statuses_.data(),
                  /*sorted_input=*/true);
    for (size_t i = 0; i < n; ++i) {
      const size_t number = wanted_[begin + i].second;
      if (!statuses_[i].IsNotFound()) {
        WEIR_RETURN_IF_ERROR(ToStatus(statuses_[i], "reading rows", table));
        DiskRow row;
        WEIR_RETURN_IF_ERROR(Decode(table, keys[number], values_[i], &scratch_, &row));
        found(number, row);
      }
      values_[i].Reset();
    }
  }
  return Status();
}

class DiskRows::Database::ShardCursor : public Cursor {
 public:
  ShardCursor(const Database& database, int table, int virtual_shard) : database_(database), table_(table) {
    begin_ = database.Encode(table, virtual_shard, 0);
    // The key after all of the shard, or of the table's last shard: the first four bytes as a number, plus one.
    PutBigEndian(GetBigEndian(begin_.data(), 4) + 1, 4, end_.data());
    end_slice_ = rocksdb::Slice(reinterpret_cast<const char*>(end_.data()), 4);
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.iterate_upper_bound = &end_slice_;
    rows_.reset(database.db_->NewIterator(options));
    rows_->Seek(AsSlice(begin_));
  }

  Result<bool> Next(DiskRow* row) override {
    if (started_ && rows_->Valid()) rows_->Next();
    started_ = true;
    if (!rows_->Valid()) {
      WEIR_RETURN_IF_ERROR(database_.ToStatus(rows_->status(), "scanning rows", table_));
      return false;
    }
    const uint64_t key = GetBigEndian(reinterpret_cast<const uint8_t*>(rows_->key().data()) + 4, 8);
    WEIR_RETURN_IF_ERROR(database_.Decode(table_, key, rows_->value(), &scratch_, row));
    return true;
  }

 private:
  const Database& database_;
  const int table_;
  bool started_ = false;
  KeyBytes begin_ = {};
  std::array<uint8_t, 4> end_ = {};
  rocksdb::Slice end_slice_;
  std::vector<uint32_t> scratch_;
  std::unique_ptr<rocksdb::Iterator> rows_;
};

std::unique_ptr<DiskRows::Cursor> DiskRows::Database::Scan(int table, int virtual_shard) const {
  return std::make_unique<ShardCursor>(*this, table, virtual_shard);
}

int64_t DiskRows::Database::disk_bytes(int table) const {
  // Of the two bytes of a table's number, and those of the next.
  std::array<std::array<uint8_t, 4>, 2> ends;
  for (int i = 0; i < 2; ++i) PutBigEndian(static_cast<uint64_t>(table) + i, 4, ends[i].data());
  auto prefix = [&](int i) { return rocksdb::Slice(reinterpret_cast<const char*>(ends[i].data() + 2), 2); };
  // Nothing is greater than the last table's last key.
  const std::string after_all(kKeyBytes + 1, '\xff');
  const rocksdb::Range range(prefix(0), table == 65535 ? rocksdb::Slice(after_all) : prefix(1));
  uint64_t bytes = 0;
  const rocksdb::Status sized =
      db_->GetApproximateSizes(rocksdb::SizeApproximationOptions(), db_->DefaultColumnFamily(), &range, 1, &bytes);
  return sized.ok() ? static_cast<int64_t>(bytes) : 0;
}

int64_t DiskRows::Database::memory_bytes() const {
  return present_.bytes() + static_cast<int64_t>(setup_.cache->GetUsage());
}

DiskRows::DiskRows(std::unique_ptr<Database> database) : database_(std::move(database)) {}
DiskRows::~DiskRows() = default;

Result<std::unique_ptr<DiskRows>> DiskRows::Open(DiskRowsOptions options) {
  CHECK(options.virtual_shards > 0 && options.virtual_shards <= 65536 && options.tables.size() <= 65536);
  auto database = std::make_unique<Database>(std::move(options));
  WEIR_RETURN_IF_ERROR(database->Open());
  return std::unique_ptr<DiskRows>(new DiskRows(std::move(database)));
}

Status DiskRows::Put(int table, std::span<const DiskRow> rows) { return database_->Put(table, rows); }
Status DiskRows::Get(int table, std::span<const uint64_t> keys,
                     const std::function<void(size_t, const DiskRow&)>& found) {
  return database_->Get(table, keys, found);
}
Status DiskRows::Erase(int table, std::span<const uint64_t> keys) { return database_->Erase(table, keys); }
std::unique_ptr<DiskRows::Cursor> DiskRows::Scan(int table, int virtual_shard) const {
  return database_->Scan(table, virtual_shard);
}
int64_t DiskRows::disk_bytes(int table) const { return database_->disk_bytes(table); }
int64_t DiskRows::memory_bytes() const { return database_->memory_bytes(); }
const std::string& DiskRows::folder() const { return database_->folder(); }

}  // namespace weir
