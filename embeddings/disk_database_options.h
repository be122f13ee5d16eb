// How RocksDB is set up for rows on a scratch folder within a byte budget.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

namespace weir {

// Keeps the first error that a flush or a merge in the background met. Thread-safe.
class BackgroundErrors : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
  // OK when there was none.
  rocksdb::Status first() const;

 private:
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  rocksdb::Status first_;  // guarded by mutex_
};

struct DiskDatabaseOptions {
  std::unique_ptr<rocksdb::Env> env;  // must outlive the database
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<BackgroundErrors> errors;
  rocksdb::Options options;
};

// All of the database's memory (blocks, filters, indexes, memtables) within memory_bytes.
DiskDatabaseOptions MakeDiskDatabaseOptions(int64_t memory_bytes);

}  // namespace weir
