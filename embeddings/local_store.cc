#include "embeddings/local_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/parallel_for.h"

namespace weir {
namespace {

// All tables in this process, one worker: a push is applied when it comes, a pull answered as soon as the pushes before
// its step are applied, so nothing here ever waits.
class LocalStore : public EmbeddingStore {
 public:
  LocalStore(std::vector<TableSpec> specs, int virtual_shards, RowFiles* row_files, const Clock* clock)
      : tables_(std::move(specs), virtual_shards), row_files_(row_files), clock_(clock) {}

  Result<PullTicket> StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables) override {
    for (size_t i = 0; i < tables.size(); ++i) WEIR_RETURN_IF_ERROR(CheckTable(tables[i].table, tables.first(i)));
    if (kind == PullKind::kTraining) {
      const int64_t next = std::max(last_pull_, applied_) + 1;
      if (step != next) {
        return FailedPrecondition(
            fmt::format("training pulls go in order: expected step {}, found step {}", next, step));
      }
      last_pull_ = step;
    }
    const PullTicket ticket = ++last_ticket_;
    if (step <= applied_ + 1) {
      WEIR_RETURN_IF_ERROR(Fill(step, kind, tables));
      started_[ticket] = {step, kind, true, {}};
    } else {
      if (kind == PullKind::kTraining) {
        for (const TablePull& pull : tables) WEIR_RETURN_IF_ERROR(tables_.Prefetch(pull.table, pull.keys));
      }
      started_[ticket] = {step, kind, false, {tables.begin(), tables.end()}};
    }
    return ticket;
  }

  Status FinishPull(PullTicket ticket) override {
    auto found = started_.find(ticket);
    if (found == started_.end()) {
      return FailedPrecondition(fmt::format("pull ticket {}: expected one that was started and not finished", ticket));
    }
    if (!found->second.filled) {
      return FailedPrecondition(
          fmt::format("pull of step {}: expected the pushes up to step {} first, found the last at {}",
                      found->second.step, found->second.step - 1, applied_));
    }
    started_.erase(found);
    return Status();
  }

  void CancelPull(PullTicket ticket) override { started_.erase(ticket); }

  Status Push(int64_t step, std::span<const TablePush> tables) override {
    for (size_t i = 0; i < tables.size(); ++i) WEIR_RETURN_IF_ERROR(CheckTable(tables[i].table, tables.first(i)));
    if (step != applied_ + 1) {
      return FailedPrecondition(fmt::format("pushes go in order: expected step {}, found step {}", applied_ + 1, step));
    }
    WEIR_RETURN_IF_ERROR(ForTables(tables, [&](const TablePush& push) {
                           return tables_.Train(step, push);
                         }).Wrap(fmt::format("step {}", step)));
    tables_.EndStep(step, clock_->UnixNanos() / kNanosPerMilli);
    applied_ = step;
    for (auto& [ticket, pull] : started_) {
      if (pull.filled || pull.step > applied_ + 1) continue;
      WEIR_RETURN_IF_ERROR(Fill(pull.step, pull.kind, pull.tables));
      pull.filled = true;
    }
    return Status();
  }

  Status Drain(int64_t step) override {
    if (step <= applied_) return Status();
    return FailedPrecondition(
        fmt::format("draining step {}: expected its push first, found the last at step {}", step, applied_));
  }

  Result<std::vector<DataFile>> Save(int64_t step, const std::string& folder) override {
    if (step != applied_) {
      return FailedPrecondition(
          fmt::format("saving step {}: expected the rows at it, found them at {}", step, applied_));
    }
    if (row_files_ == nullptr) return FailedPrecondition("saving rows: expected a store that was given row files");
    WEIR_ASSIGN_OR_RETURN(std::vector<DataFile> files,
                          row_files_->Write(tables_, {0, tables_.virtual_shards()}, folder, "local", [] {}));
    tables_.ForgetTombstones();
    return files;
  }

  Status Load(int64_t step, const std::string& folder, std::span<const DataFile> files) override {
    if (row_files_ == nullptr) return FailedPrecondition("loading rows: expected a store that was given row files");
    if (num_rows() != 0 || last_pull_ != 0 || applied_ != 0) {
      return FailedPrecondition(
          fmt::format("loading step {}: expected a store not used yet, found one at step {} with {} "
                      "rows",
                      step, std::max(last_pull_, applied_), num_rows()));
    }
    WEIR_RETURN_IF_ERROR(row_files_->Read(folder, files, {0, tables_.virtual_shards()}, &tables_, [] {}));
    applied_ = step;
    return Status();
  }

  Result<StoreStats> Stats() override {
    StoreStats stats;
    stats.rows = num_rows();
    stats.bytes = tables_.bytes();
    for (int table = 0; table < tables_.num_tables(); ++table) stats.tables.push_back(tables_.stats(table));
    return stats;
  }

 private:
  struct StartedPull {
    int64_t step = 0;
    PullKind kind = PullKind::kTraining;
    bool filled = false;
    std::vector<TablePull> tables;  // while not filled
  };

  template <typename T>
  Status CheckTable(int table, std::span<const T> before) const {
    if (table < 0 || table >= tables_.num_tables()) {
      return InvalidArgument(fmt::format("expected a table from 0 to {}, found {}", tables_.num_tables() - 1, table));
    }
    for (const T& other : before) {
      if (other.table == table) {
        return InvalidArgument(
            fmt::format("expected each table at most once, found table {} twice", tables_.spec(table).name));
      }
    }
    return Status();
  }

  Status Fill(int64_t step, PullKind kind, std::span<const TablePull> tables) {
    return ForTables(tables,
                     [&](const TablePull& pull) { return tables_.Pull(step, kind, pull.table, pull.keys, pull.rows); });
  }

  // Side by side where the tables can be. The error is that of the first table that had one.
  template <typename T, typename Run>
  Status ForTables(std::span<const T> tables, Run&& run) {
    const auto n = static_cast<int64_t>(tables.size());
    std::vector<Status> statuses(n);
    ParallelFor(n, /*grain=*/tables_.has_disk() ? n : 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) statuses[i] = run(tables[i]);
    });
    for (Status& status : statuses) WEIR_RETURN_IF_ERROR(std::move(status));
    return Status();
  }

  int64_t num_rows() const {
    int64_t rows = 0;
    for (int table = 0; table < tables_.num_tables(); ++table) rows += tables_.num_rows(table);
    return rows;
  }

  TableSet tables_;
  RowFiles* const row_files_;
  const Clock* const clock_;
  int64_t applied_ = 0;    // step of the last push
  int64_t last_pull_ = 0;  // step of the last training pull
  PullTicket last_ticket_ = 0;
  std::map<PullTicket, StartedPull> started_;
};

}  // namespace

std::unique_ptr<EmbeddingStore> MakeLocalStore(std::vector<TableSpec> specs, int virtual_shards, RowFiles* row_files,
                                               const Clock* clock) {
  return std::make_unique<LocalStore>(std::move(specs), virtual_shards, row_files, clock);
}

}  // namespace weir
