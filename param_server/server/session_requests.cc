// The part of Sessions that turns a worker's frames into requests for the owner thread and its replies into frames.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "param_server/server/sessions.h"

namespace weir {

Status Sessions::CheckShards(int table, std::span<const uint64_t> keys) const {
  const int virtual_shards = static_cast<int>(options_.expected.virtual_shards);
  for (const uint64_t key : keys) {
    const int shard = VirtualShard(key, virtual_shards);
    if (shard >= shards_.begin && shard < shards_.end) continue;
    return InvalidArgument(fmt::format("table {}: key {:#018x} belongs to virtual shard {}, this server owns [{}, {})",
                                       table, key, shard, shards_.begin, shards_.end));
  }
  return Status();
}

Status Sessions::Admit(const SessionPtr& session) const {
  if (++session->unanswered <= kRequestsMax) return Status();
  return ResourceExhausted(fmt::format("more than {} requests without an answer", kRequestsMax));
}

Status Sessions::OnPull(const SessionPtr& session, const FrameHeader& header, Buffer payload) {
  WEIR_ASSIGN_OR_RETURN(PullMessage pull, DecodePull(payload.span(), options_.dims));
  const uint64_t rows_bytes = RowsBytes(pull, options_.dims);
  if (rows_bytes > static_cast<uint64_t>(options_.max_frame_bytes)) {
    return ResourceExhausted(
        fmt::format("pull of step {} asks for {} bytes of rows: at most {} fit a frame "
                    "(cluster.max_frame_bytes)",
                    pull.step, rows_bytes, options_.max_frame_bytes));
  }
  WEIR_RETURN_IF_ERROR(Admit(session));
  workers_[session->worker].step_seen = std::max(workers_[session->worker].step_seen, pull.step);

  // The owner thread copies rows straight into the reply.
  struct Buffers {
    Buffer keys;
    Buffer rows;
  };
  auto buffers = std::make_shared<Buffers>(std::move(payload), Buffer(rows_bytes));
  OwnerRequest request;
  request.type = MessageType::kPull;
  request.worker = session->worker;
  request.step = pull.step;
  request.kind = pull.kind;
  request.timeout_ns = int64_t{header.timeout_ms} * kNanosPerMilli;
  float* rows = reinterpret_cast<float*>(buffers->rows.data());
  for (const TableKeys& table : pull.tables) {
    WEIR_RETURN_IF_ERROR(CheckShards(table.table, table.keys));
    request.pulls.push_back({table.table, table.keys, rows});
    rows += table.keys.size() * options_.dims[table.table];
  }
  request.done = [session, buffers, id = header.request_id](const Status& status, const OwnerReply&) {
    --session->unanswered;
    if (status.ok()) {
      session->connection->Send(MessageType::kRows, id, 0, std::move(buffers->rows));
    } else {
      session->connection->Send(MessageType::kError, id, 0, EncodeError(status));
    }
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::OnPush(const SessionPtr& session, Buffer payload) {
  WEIR_ASSIGN_OR_RETURN(PushMessage push, DecodePush(payload.span(), options_.dims));
  if (push.worker != static_cast<uint32_t>(session->worker)) {
    return InvalidArgument(fmt::format("worker {} pushes as worker {}", session->worker, push.worker));
  }
  for (const TablePush& table : push.tables) WEIR_RETURN_IF_ERROR(CheckShards(table.table, table.keys));
  WEIR_RETURN_IF_ERROR(Admit(session));
  workers_[session->worker].step_seen = std::max(workers_[session->worker].step_seen, push.step);
  OwnerRequest request;
  request.type = MessageType::kPush;
  request.worker = session->worker;
  request.step = push.step;
  request.sequence = push.sequence;
  request.unix_ms = push.unix_ms;
  request.pushes = std::move(push.tables);
  auto held = std::make_shared<Buffer>(std::move(payload));
  // No answer: the next pull says that it was applied.
  request.done = [session, held](const Status& status, const OwnerReply&) {
    --session->unanswered;
    if (!status.ok()) session->connection->Send(MessageType::kError, 0, 0, EncodeError(status));
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::OnSimpleRequest(const SessionPtr& session, const FrameHeader& header, const Buffer& payload) {
  OwnerRequest request;
  request.type = header.type;
  request.worker = session->worker;
  request.timeout_ns = int64_t{header.timeout_ms} * kNanosPerMilli;
  if (header.type == MessageType::kDrain) {
    WEIR_ASSIGN_OR_RETURN(request.step, DecodeStep(payload.span()));
  } else if (header.type != MessageType::kStats) {
    WEIR_ASSIGN_OR_RETURN(FilesMessage message, DecodeFiles(payload.span()));
    request.step = message.step;
    request.folder = std::move(message.folder);
    request.files = std::move(message.files);
  }
  WEIR_RETURN_IF_ERROR(Admit(session));
  request.done = [session, id = header.request_id, type = header.type](const Status& status, OwnerReply reply) {
    --session->unanswered;
    Connection& connection = *session->connection;
    if (!status.ok()) return connection.Send(MessageType::kError, id, 0, EncodeError(status));
    if (type == MessageType::kSave) {
      return connection.Send(MessageType::kFiles, id, 0, EncodeFiles({.step = 0, .folder = "", .files = reply.files}));
    }
    if (type == MessageType::kStats) return connection.Send(MessageType::kStatsReply, id, 0, EncodeStats(reply.stats));
    connection.Send(MessageType::kDone, id, 0, {});
  };
  owner_->Submit(std::move(request));
  return Status();
}

Status Sessions::OnPeerEnd(const SessionPtr& session, const FrameHeader& header, const Buffer& payload) {
  const int worker = session->worker;
  switch (header.type) {
    case MessageType::kGoodbye:
      session->over = true;
      Leave(worker);
      session->connection->CloseAfterWrites();
      return Status();
    case MessageType::kShutdown:
      if (worker != 0) return PermissionDenied("only worker 0 may end the job");
      session->connection->Send(MessageType::kDone, header.request_id, 0, {});
      BeginShutdown(worker);
      return Status();
    case MessageType::kError: {
      Status error;
      WEIR_RETURN_IF_ERROR(DecodeError(payload.span(), &error));
      return error.Wrap("ended the job");
    }
    default:
      return InvalidArgument(fmt::format("a worker sent a {} frame", MessageTypeName(header.type)));
  }
}

}  // namespace weir
