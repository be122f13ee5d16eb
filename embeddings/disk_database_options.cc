#include "embeddings/disk_database_options.h"

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

namespace weir {
namespace {

constexpr int64_t kKiB = 1 << 10;
constexpr int64_t kMiB = 1 << 20;
constexpr uint64_t kDiskReserveBytes = 1 << 20;

// A file that is never waited for: what the machine would lose in a crash is worthless then. Bytes that the disk did
// not take are found by the checksum of their block.
class ScratchFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ScratchFile(std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), holds_rows_(path_.ends_with(".sst")) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (holds_rows_ && !HasRoom(data.size())) return Full();
    return target()->Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* debug) override {
    if (holds_rows_ && !HasRoom(data.size())) return Full();
    return target()->Append(data, options, verification, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }

 private:
  // Rows leave a little of the disk to the database's list of files: it stops the process over a list that cannot be
  // written, but reports a file of rows that cannot.
  bool HasRoom(size_t bytes) const {
    struct statvfs disk = {};
    if (::statvfs(path_.c_str(), &disk) != 0) return true;  // the write will say
    return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize >= bytes + kDiskReserveBytes;
  }
  rocksdb::IOStatus Full() const {
    rocksdb::IOStatus full = rocksdb::IOStatus::NoSpace(path_, "No space left on device");
    full.SetRetryable(true);
    return full;
  }

  const std::string path_;
  const bool holds_rows_;
};

class ScratchFileSystem : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "ScratchFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> real;
    rocksdb::IOStatus status = target()->NewWritableFile(path, options, &real, debug);
    if (status.ok()) *file = std::make_unique<ScratchFile>(path, std::move(real));
    return status;
  }
};

// A third of the files that the process may have open: each file of the database that is in use is one.
int MaxOpenFiles() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 4096;
  return static_cast<int>(std::clamp<rlim_t>(limit.rlim_cur / 3, 32, 4096));
}

rocksdb::BlockBasedTableOptions MakeTableOptions(std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  // Small blocks, since rows are read one by one; the index takes 1/500 of the rows' bytes.
  table.block_size = 8 * kKiB;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.optimize_filters_for_memory = true;
  table.format_version = 5;
  table.index_block_restart_interval = 16;
  table.max_auto_readahead_size = 64 * kKiB;
  // What is no block, but grows with their number.
  using Role = rocksdb::CacheEntryRole;
  for (Role role : {Role::kFilterConstruction, Role::kBlockBasedTableReader, Role::kFileMetadata}) {
    table.cache_usage_options.options_overrides[role].charged = rocksdb::CacheEntryRoleOptions::Decision::kEnabled;
  }
  return table;
}

}  // namespace

void BackgroundErrors::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) {
  std::lock_guard lock(mutex_);
  if (first_.ok()) first_ = *error;
  failed_.store(true, std::memory_order_release);
}

rocksdb::Status BackgroundErrors::first() const {
  if (!failed_.load(std::memory_order_acquire)) return rocksdb::Status::OK();
  std::lock_guard lock(mutex_);
  return first_;
}

DiskDatabaseOptions MakeDiskDatabaseOptions(int64_t memory_bytes) {
  DiskDatabaseOptions made;
  made.env = rocksdb::NewCompositeEnv(std::make_shared<ScratchFileSystem>(rocksdb::FileSystem::Default()));
  made.errors = std::make_shared<BackgroundErrors>();

  // The limit is not strict: a read that is refused memory fails, while a block in use above it is some kilobytes.
  rocksdb::LRUCacheOptions cache;
  cache.capacity = static_cast<size_t>(memory_bytes);
  cache.num_shard_bits = 0;
  cache.strict_capacity_limit = false;
  cache.high_pri_pool_ratio = 0.7;
  made.cache = rocksdb::NewLRUCache(cache);

  rocksdb::Options& options = made.options;
  options.env = made.env.get();
  options.create_if_missing = true;
  options.allow_fallocate = false;  // room that is kept for one file counts as none for the others
  options.error_if_exists = true;
  options.listeners.push_back(made.errors);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(MakeTableOptions(made.cache)));
  options.compression = rocksdb::kNoCompression;  // trained floats do not compress
  options.max_open_files = MaxOpenFiles();

  // Memtables: one that fills and two on their way to the disk, a third of the memory in all.
  options.write_buffer_size = static_cast<size_t>(std::clamp(memory_bytes / 9, 128 * kKiB, 128 * kMiB));
  options.max_write_buffer_number = 3;
  options.arena_block_size = static_cast<size_t>(std::clamp<int64_t>(options.write_buffer_size / 32, 8 * kKiB, kMiB));
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_size * 3, made.cache);
  options.allow_concurrent_memtable_write = false;  // one writer, whose rows come by shard: the last place is a hint
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(4));

  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.compaction_options_universal.allow_trivial_move = true;
  options.compaction_options_universal.min_merge_width = 4;
  options.compaction_options_universal.max_size_amplification_percent = 200;
  options.num_levels = 40;
  options.target_file_size_base = static_cast<uint64_t>(std::clamp(memory_bytes / 4, 2 * kMiB, 256 * kMiB));
  options.level0_file_num_compaction_trigger = 16;
  options.level0_slowdown_writes_trigger = 64;
  options.level0_stop_writes_trigger = 64;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  options.max_background_jobs = 3;  // one flush, two merges

  // A full disk is reported, not waited out.
  options.max_bgerror_resume_count = 0;
  options.avoid_flush_during_shutdown = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 1;
  return made;
}

}  // namespace weir
