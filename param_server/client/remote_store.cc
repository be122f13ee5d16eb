#include "param_server/client/remote_store.h"

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "param_server/client/hot_rows.h"
#include "param_server/client/key_partition.h"
#include "param_server/client/pull_call.h"
#include "param_server/client/servers.h"
#include "param_server/row_messages.h"
#include "param_server/wire_values.h"

namespace weir {
// What the store's thread does: partition, copy, send, wait.
class RemoteStore::Calls {
 public:
  explicit Calls(const RemoteStoreOptions& options)
      : options_(options),
        formats_(TableFormats(options.tables)),
        strictest_(Strictest(options.tables)),
        servers_(std::make_shared<Servers>(options)),
        owners_(static_cast<int>(options.servers.size()), options.virtual_shards),
        push_partition_(&owners_),
        hot_rows_(options.tables, static_cast<int>(options.servers.size()), options.colocated_index, options.hot_rows) {
  }
  ~Calls() { servers_->Stop(); }

  Status Connect() {
    WEIR_RETURN_IF_ERROR(servers_->Connect());
    applied_ = servers_->applied_at_start();
    return Status();
  }

  Result<PullTicket> StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables);
  Status FinishPull(PullTicket ticket);
  void CancelPull(PullTicket ticket);
  Status Push(int64_t step, std::span<const TablePush> tables);
  Status Drain(int64_t step);
  Status ShutdownServers();
  // Sends the same files message to all servers and waits.
  Result<std::shared_ptr<Call>> CallAll(MessageType type, int64_t step, const std::string& folder,
                                        std::span<const DataFile> files);

  Servers& servers() { return *servers_; }
  HotRows& hot_rows() { return hot_rows_; }
  int num_tables() const { return static_cast<int>(formats_.size()); }
  void set_applied(int64_t step) { applied_ = std::max(applied_, step); }

 private:
  template <typename Table>
  Status Split(std::span<const Table> tables, KeyPartition* partition, bool ordered = false);
  // The keys of all tables that go to the server.
  template <typename Table>
  void FillKeys(const KeyPartition& partition, int server, std::span<const Table> tables, uint64_t* out);
  KeyedBuffer FillPull(PullCall* call, int server);
  KeyedBuffer FillPush(const PushMessage& push, int server, const KeyPartition& partition,
                       std::span<const TablePush> tables);
  void SendLocalPull(const std::shared_ptr<PullCall>& call, int server);
  void SendLocalPush(const PushMessage& push, int server, const KeyPartition& partition,
                     std::span<const TablePush> tables, const std::shared_ptr<PullCall>& pulled);
  // The training pull of the step if the push has its keys, else null; forgets it, and earlier ones.
  std::shared_ptr<PullCall> TakePulled(int64_t step, std::span<const TablePush> tables);
  Status CheckBytes(size_t bytes, std::string_view what, int64_t step) const;
  template <typename Table>
  std::vector<TableCount>& Counts(const KeyPartition& partition, int server, std::span<const Table> tables);

  const RemoteStoreOptions options_;
  const std::vector<TableFormat> formats_;
  const Consistency strictest_;
  const std::shared_ptr<Servers> servers_;
  const ShardOwners owners_;
  KeyPartition push_partition_;
  HotRows hot_rows_;
  std::unordered_map<PullTicket, std::shared_ptr<PullCall>> pulls_;  // started
  std::map<int64_t, std::shared_ptr<PullCall>> pulled_;              // by step: finished, not pushed
  std::vector<std::span<const uint64_t>> keys_;                      // scratch
  std::vector<TableCount> counts_;                                   // scratch
  PullTicket next_ticket_ = 1;
  uint64_t sequence_ = 0;  // of the last push
  int64_t applied_ = 0;    // a step known to be applied everywhere
};

template <typename Table>
Status RemoteStore::Calls::Split(std::span<const Table> tables, KeyPartition* partition, bool ordered) {
  keys_.clear();
  std::vector<bool> seen(formats_.size());
  for (const Table& table : tables) {
    if (table.table < 0 || table.table >= static_cast<int>(formats_.size()) || seen[table.table]) {
      return InvalidArgument(fmt::format("table {} of {}: unknown, or given twice", table.table, formats_.size()));
    }
    seen[table.table] = true;
    keys_.push_back(table.keys);
  }
  partition->Split(keys_, ordered);
  return Status();
}

template <typename Table>
std::vector<TableCount>& RemoteStore::Calls::Counts(const KeyPartition& partition, int server,
                                                    std::span<const Table> tables) {
  counts_.clear();
  for (size_t i = 0; i < tables.size(); ++i) {
    counts_.push_back({tables[i].table, partition.count(server, i), partition.unasked(server, i)});
  }
  return counts_;
}

template <typename Table>
void RemoteStore::Calls::FillKeys(const KeyPartition& partition, int server, std::span<const Table> tables,
                                  uint64_t* out) {
  for (size_t i = 0; i < tables.size(); ++i) {
    GatherKeys(partition, server, i, tables[i].keys, out);
    out += partition.count(server, i);
  }
}

Status RemoteStore::Calls::CheckBytes(size_t bytes, std::string_view what, int64_t step) const {
  if (bytes <= static_cast<size_t>(options_.max_frame_bytes)) return Status();
  return ResourceExhausted(
      fmt::format("{} of step {} needs a frame of {} bytes, at most {} are allowed: raise "
                  "cluster.max_frame_bytes, or use smaller batches or more servers",
                  what, step, bytes, options_.max_frame_bytes));
}

KeyedBuffer RemoteStore::Calls::FillPull(PullCall* call, int server) {
  const std::span<const TablePull> tables = call->tables;
  KeyedBuffer filled = EncodePull(call->step, call->kind, Counts(call->partition, server, tables));
  FillKeys(call->partition, server, tables, filled.keys);
  return filled;
}

Result<PullTicket> RemoteStore::Calls::StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables) {
  servers_->NoteStep(step);
  auto call = std::make_shared<PullCall>(step, kind, &owners_, formats_);
  WEIR_RETURN_IF_ERROR(Split(tables, &call->partition, hot_rows_.enabled()));
  call->tables.assign(tables.begin(), tables.end());
  if (hot_rows_.enabled()) hot_rows_.Find(call.get());
  std::vector<KeyedBuffer> filled(servers_->count());
  for (int server = 0; server < servers_->count(); ++server) {
    filled[server] = FillPull(call.get(), server);
    WEIR_RETURN_IF_ERROR(CheckBytes(std::max(filled[server].payload.size(), call->rows_bytes(server)), "pull", step));
  }
  WEIR_RETURN_IF_ERROR(servers_->Begin(call));
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) {
      call->local_payload = std::move(filled[server].payload);
      call->local_keys = filled[server].keys;
      SendLocalPull(call, server);
    } else {
      servers_->Send(call.get(), MessageType::kPull, server, std::move(filled[server].payload));
    }
  }
  const PullTicket ticket = next_ticket_++;
  pulls_.emplace(ticket, std::move(call));
  return ticket;
}

void RemoteStore::Calls::SendLocalPull(const std::shared_ptr<PullCall>& call, int server) {
  call->MakeLocalRows(server);
  OwnerRequest request;
  request.type = MessageType::kPull;
  request.step = call->step;
  request.kind = call->kind;
  request.pulls = call->LocalPulls(server);
  if (call->kind == PullKind::kTraining) {
    request.on_early = [](auto) { return 0; };  // they lie where the others will
  }
  servers_->Submit(call, std::move(request), call);
}

Status RemoteStore::Calls::FinishPull(PullTicket ticket) {
  const auto found = pulls_.find(ticket);
  if (found == pulls_.end()) return InvalidArgument(fmt::format("no pull has the ticket {}", ticket));
  const std::shared_ptr<PullCall> call = std::move(found->second);
  pulls_.erase(found);
  WEIR_RETURN_IF_ERROR(servers_->Await(call.get()));
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) call->ScatterLocalRows(server);
  }
  hot_rows_.Keep(*call);
  set_applied(strictest_.NeededStep(call->step));
  if (call->kind == PullKind::kTraining) pulled_[call->step] = call;
  return Status();
}

void RemoteStore::Calls::CancelPull(PullTicket ticket) {
  const auto found = pulls_.find(ticket);
  if (found == pulls_.end()) return;
  servers_->Forget(found->second.get());
  pulls_.erase(found);
}

KeyedBuffer RemoteStore::Calls::FillPush(const PushMessage& push, int server, const KeyPartition& partition,
                                         std::span<const TablePush> tables) {
  KeyedBuffer filled = EncodePush(push, Counts(partition, server, tables), formats_);
  if (!push.as_pulled) FillKeys(partition, server, tables, filled.keys);
  uint8_t* values = filled.values;
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    GatherRows(partition, server, i, tables[i].gradients, format.dim, format.push, values);
    values += ValuesBytes(format.push, partition.count(server, i), format.dim);
  }
  return filled;
}

std::shared_ptr<PullCall> RemoteStore::Calls::TakePulled(int64_t step, std::span<const TablePush> tables) {
  const auto found = pulled_.find(step);
  std::shared_ptr<PullCall> pulled = found == pulled_.end() ? nullptr : found->second;
  pulled_.erase(pulled_.begin(), pulled_.upper_bound(step));
  return pulled && pulled->HasKeysOf(tables) ? pulled : nullptr;
}

Status RemoteStore::Calls::Push(int64_t step, std::span<const TablePush> tables) {
  servers_->NoteStep(step);
  WEIR_RETURN_IF_ERROR(servers_->status());
  const std::shared_ptr<PullCall> pulled = TakePulled(step, tables);
  if (!pulled) WEIR_RETURN_IF_ERROR(Split(tables, &push_partition_));
  const KeyPartition& partition = pulled ? pulled->partition : push_partition_;
  // A worker that pushes without pulling, or whose pulls never wait, must not run away from the others.
  if (step - kStepsAheadMax > applied_) {
    WEIR_RETURN_IF_ERROR(Drain(step - (strictest_.async ? kStepsAheadMax / 2 : kStepsAheadMax)));
  }
  PushMessage push;
  push.step = step;
  push.sequence = sequence_ + 1;
  push.unix_ms = options_.clock->UnixNanos() / kNanosPerMilli;  // one reading: all servers must hear the same
  push.worker = static_cast<uint32_t>(options_.worker);
  push.as_pulled = pulled != nullptr;
  std::vector<KeyedBuffer> filled(servers_->count());
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) continue;
    filled[server] = FillPush(push, server, partition, tables);
    WEIR_RETURN_IF_ERROR(CheckBytes(filled[server].payload.size(), "push", step));
  }
  ++sequence_;
  hot_rows_.NotePush();
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) {
      SendLocalPush(push, server, partition, tables, pulled);
    } else {
      servers_->Send(nullptr, MessageType::kPush, server, std::move(filled[server].payload));
    }
  }
  return Status();
}

void RemoteStore::Calls::SendLocalPush(const PushMessage& push, int server, const KeyPartition& partition,
                                       std::span<const TablePush> tables, const std::shared_ptr<PullCall>& pulled) {
  struct Held {
    std::shared_ptr<PullCall> pulled;  // has the keys, else `keys`
    std::vector<uint64_t> keys;
    Buffer gradients;
  };
  auto held = std::make_shared<Held>();
  held->pulled = pulled;
  size_t num_keys = 0, num_values = 0;
  for (size_t i = 0; i < tables.size(); ++i) {
    num_keys += partition.count(server, i);
    num_values += size_t{partition.count(server, i)} * formats_[tables[i].table].dim;
  }
  if (!pulled) {
    held->keys.resize(num_keys);
    FillKeys(partition, server, tables, held->keys.data());
  }
  held->gradients = Buffer(num_values * sizeof(float));
  OwnerRequest request;
  request.type = MessageType::kPush;
  request.step = push.step;
  request.sequence = push.sequence;
  request.unix_ms = push.unix_ms;
  request.as_pulled = push.as_pulled;
  const uint64_t* keys = pulled ? pulled->local_keys : held->keys.data();
  float* gradients = reinterpret_cast<float*>(held->gradients.data());
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableFormat& format = formats_[tables[i].table];
    const size_t count = partition.count(server, i);
    GatherRows(partition, server, i, tables[i].gradients, format.dim, WireConfig::FLOAT32,
               reinterpret_cast<uint8_t*>(gradients));
    RoundValues(format.push, count * format.dim, gradients);
    request.pushes.push_back({tables[i].table, {keys, count}, gradients});
    keys += count;
    gradients += count * format.dim;
  }
  servers_->Submit(nullptr, std::move(request), std::move(held));
}

Status RemoteStore::Calls::Drain(int64_t step) {
  WEIR_ASSIGN_OR_RETURN(const auto call, CallAll(MessageType::kDrain, step, "", {}));
  set_applied(step);
  return Status();
}

Result<std::shared_ptr<Call>> RemoteStore::Calls::CallAll(MessageType type, int64_t step, const std::string& folder,
                                                          std::span<const DataFile> files) {
  auto call = std::make_shared<Call>(type, step);
  WEIR_RETURN_IF_ERROR(servers_->Begin(call));
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) {
      OwnerRequest request;
      request.type = type;
      request.step = step;
      request.folder = folder;
      request.files.assign(files.begin(), files.end());
      servers_->Submit(call, std::move(request), nullptr);
      continue;
    }
    Buffer payload;
    if (type == MessageType::kDrain) payload = EncodeStep(step);
    if (type == MessageType::kSave || type == MessageType::kLoad) {
      payload = EncodeFiles({.step = step, .folder = folder, .files = {files.begin(), files.end()}});
    }
    servers_->Send(call.get(), type, server, std::move(payload));
  }
  WEIR_RETURN_IF_ERROR(servers_->Await(call.get()));
  return call;
}

Status RemoteStore::Calls::ShutdownServers() {
  if (options_.worker != 0) return PermissionDenied("only worker 0 may end the job");
  auto call = std::make_shared<Call>(MessageType::kShutdown, 0);
  WEIR_RETURN_IF_ERROR(servers_->Begin(call));
  for (int server = 0; server < servers_->count(); ++server) {
    if (servers_->is_local(server)) {
      options_.colocated->RequestShutdown();
      servers_->AnswerLocally(call, server);
    } else {
      servers_->Send(call.get(), MessageType::kShutdown, server, {});
    }
  }
  WEIR_RETURN_IF_ERROR(servers_->Await(call.get()));
  servers_->LeaveAll();
  return Status();
}

RemoteStore::RemoteStore(std::unique_ptr<Calls> calls) : calls_(std::move(calls)) {}
RemoteStore::~RemoteStore() = default;

Result<std::unique_ptr<RemoteStore>> RemoteStore::Connect(RemoteStoreOptions options) {
  const int num_servers = static_cast<int>(options.servers.size());
  if (num_servers < 1 || options.worker < 0 || options.worker >= options.num_workers) {
    return InvalidArgument(
        fmt::format("worker {} of {} with {} servers", options.worker, options.num_workers, num_servers));
  }
  if (options.colocated && (options.colocated_index < 0 || options.colocated_index >= num_servers)) {
    return InvalidArgument(fmt::format("colocated server {} of {}", options.colocated_index, num_servers));
  }
  if (options.virtual_shards < 1 || !std::has_single_bit(static_cast<unsigned>(options.virtual_shards))) {
    return InvalidArgument(
        fmt::format("cluster.virtual_shards: expected a power of two, found {}", options.virtual_shards));
  }
  auto calls = std::make_unique<Calls>(options);
  const Status status = calls->Connect();
  if (!status.ok()) return status;
  return std::unique_ptr<RemoteStore>(new RemoteStore(std::move(calls)));
}

Result<PullTicket> RemoteStore::StartPull(int64_t step, PullKind kind, std::span<const TablePull> tables) {
  return calls_->StartPull(step, kind, tables);
}

Status RemoteStore::FinishPull(PullTicket ticket) { return calls_->FinishPull(ticket); }

void RemoteStore::CancelPull(PullTicket ticket) { calls_->CancelPull(ticket); }

Status RemoteStore::Push(int64_t step, std::span<const TablePush> tables) { return calls_->Push(step, tables); }

Status RemoteStore::Drain(int64_t step) { return calls_->Drain(step); }

Result<std::vector<DataFile>> RemoteStore::Save(int64_t step, const std::string& folder) {
  WEIR_ASSIGN_OR_RETURN(const auto call, calls_->CallAll(MessageType::kSave, step, folder, {}));
  std::vector<DataFile> files;
  for (const OwnerReply& reply : call->replies) files.insert(files.end(), reply.files.begin(), reply.files.end());
  return files;
}

Status RemoteStore::Load(int64_t step, const std::string& folder, std::span<const DataFile> files) {
  WEIR_ASSIGN_OR_RETURN(const auto call, calls_->CallAll(MessageType::kLoad, step, folder, files));
  calls_->set_applied(step);
  calls_->hot_rows().Forget();
  return Status();
}

Result<StoreStats> RemoteStore::Stats() {
  WEIR_ASSIGN_OR_RETURN(const auto call, calls_->CallAll(MessageType::kStats, 0, "", {}));
  StoreStats stats;
  stats.tables.resize(calls_->num_tables());
  for (const OwnerReply& reply : call->replies) {
    stats.rows += reply.stats.load.rows;
    stats.bytes += reply.stats.load.bytes;
    stats.servers.push_back(reply.stats.load);
    for (size_t i = 0; i < std::min(stats.tables.size(), reply.stats.tables.size()); ++i) {
      stats.tables[i] += reply.stats.tables[i];
    }
    const std::vector<int64_t>& rows = reply.stats.rows_by_staleness;
    stats.rows_by_staleness.resize(std::max(stats.rows_by_staleness.size(), rows.size()));
    for (size_t i = 0; i < rows.size(); ++i) stats.rows_by_staleness[i] += rows[i];
  }
  stats.bytes_sent = calls_->servers().bytes_sent();
  stats.bytes_received = calls_->servers().bytes_received();
  stats.messages_sent = calls_->servers().messages_sent();
  stats.keys_from_cache = calls_->hot_rows().keys_from_cache();
  return stats;
}

Status RemoteStore::Shutdown() { return calls_->ShutdownServers(); }

void RemoteStore::Abort(const Status& reason) { calls_->servers().Fail(reason); }

}  // namespace weir
